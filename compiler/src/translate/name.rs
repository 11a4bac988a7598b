//! Names of instructions, for messages.

use wasmparser::Operator;

/// The instruction's name in the text format, as near as the parser's own names come to it.
pub(super) fn instruction(op: &Operator<'_>) -> String {
    macro_rules! names {
        ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident $rest:tt)*) => {
            match op {
                $(Operator::$op { .. } => stringify!($visit),)*
                _ => "visit_unknown",
            }
        };
    }
    text(wasmparser::for_each_operator!(names).trim_start_matches("visit_"))
}

/// `i32_atomic_load8_u` as `i32.atomic.load8_u`.
fn text(name: &str) -> String {
    const SPACES: [&str; 22] = [
        "i32", "i64", "f32", "f64", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2", "memory", "table",
        "local", "global", "ref", "struct", "array", "i31", "elem", "any", "extern",
    ];
    match name.split_once('_') {
        Some((space, rest)) if SPACES.contains(&space) || space == "data" => {
            format!("{space}.{}", rest.replacen("atomic_", "atomic.", 1).replacen("rmw_", "rmw.", 1))
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_named_as_in_the_text_format() {
        assert_eq!(instruction(&Operator::I32Add), "i32.add");
        assert_eq!(instruction(&Operator::CallRef { type_index: 0 }), "call_ref");
        assert_eq!(instruction(&Operator::ThrowRef), "throw_ref");
        assert_eq!(text("i32_atomic_rmw8_add_u"), "i32.atomic.rmw8_add_u");
        assert_eq!(text("memory_atomic_wait32"), "memory.atomic.wait32");
    }
}
