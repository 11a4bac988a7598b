/* Makers of values, for arguments of wb_instance_call. */

static inline wb_val wb_i32(int32_t value) {
    wb_val val;
    val.kind = WB_I32;
    val.of.i64 = 0;
    val.of.i32 = value;
    return val;
}

static inline wb_val wb_i64(int64_t value) {
    wb_val val;
    val.kind = WB_I64;
    val.of.i64 = value;
    return val;
}

static inline wb_val wb_f32(float value) {
    wb_val val;
    val.kind = WB_F32;
    val.of.i64 = 0;
    val.of.f32 = value;
    return val;
}

static inline wb_val wb_f64(double value) {
    wb_val val;
    val.kind = WB_F64;
    val.of.f64 = value;
    return val;
}

static inline wb_val wb_externref(void *value) {
    wb_val val;
    val.kind = WB_EXTERNREF;
    val.of.ref = value;
    return val;
}
