/* The app of externrefs.c: it keeps objects of the host's in a table, where it cannot look at them. */
#pragma clang diagnostic ignored "-Wzero-length-array"

#define EXPORT(name) __attribute__((export_name(#name))) name
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) name

typedef __externref_t ref;

ref IMPORT(open_object)(int value);
int IMPORT(value_of)(ref object);
int IMPORT(change)(ref object, int by);
int IMPORT(close_object)(ref object);
ref IMPORT(read_only)(int value);
int IMPORT(number_of)(int number);

static ref kept[0];

void EXPORT(room)(int slots) { __builtin_wasm_table_grow(kept, __builtin_wasm_ref_null_extern(), slots); }
void EXPORT(open)(int slot, int value) { __builtin_wasm_table_set(kept, slot, open_object(value)); }
void EXPORT(open_to_read)(int slot, int value) { __builtin_wasm_table_set(kept, slot, read_only(value)); }
void EXPORT(forget)(int slot) { __builtin_wasm_table_set(kept, slot, __builtin_wasm_ref_null_extern()); }
int EXPORT(value)(int slot) { return value_of(__builtin_wasm_table_get(kept, slot)); }
int EXPORT(add)(int slot, int by) { return change(__builtin_wasm_table_get(kept, slot), by); }
int EXPORT(close)(int slot) { return close_object(__builtin_wasm_table_get(kept, slot)); }
ref EXPORT(get)(int slot) { return __builtin_wasm_table_get(kept, slot); }
void EXPORT(put)(int slot, ref object) { __builtin_wasm_table_set(kept, slot, object); }

/* What it opens here nobody has. */
int EXPORT(waste)(int objects) {
    int sum = 0;
    for (int i = 0; i < objects; i++) sum += value_of(open_object(1));
    return sum;
}

int EXPORT(on_object)(ref object, int number) {
    __builtin_wasm_table_set(kept, 0, object);
    return value_of(object) + (number ? number_of(number) : 0);
}
ref EXPORT(pick)(int slot) { return __builtin_wasm_table_get(kept, slot); }
