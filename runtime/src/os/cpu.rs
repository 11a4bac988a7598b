//! What this processor can do.

/// Whether this processor has a feature, by the code generator's name for it; `None` for a name that is not known here.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_feature(name: &str) -> Option<bool> {
    macro_rules! features {
        ($($name:literal: $feature:tt,)*) => {
            match name {
                $($name => Some(std::is_x86_feature_detected!($feature)),)*
                _ => None,
            }
        };
    }
    features! {
        "has_cmpxchg16b": "cmpxchg16b",
        "has_sse3": "sse3",
        "has_ssse3": "ssse3",
        "has_sse41": "sse4.1",
        "has_sse42": "sse4.2",
        "has_avx": "avx",
        "has_avx2": "avx2",
        "has_fma": "fma",
        "has_avx512bitalg": "avx512bitalg",
        "has_avx512dq": "avx512dq",
        "has_avx512vl": "avx512vl",
        "has_avx512vbmi": "avx512vbmi",
        "has_avx512f": "avx512f",
        "has_avx512vnni": "avx512vnni",
        "has_popcnt": "popcnt",
        "has_bmi1": "bmi1",
        "has_bmi2": "bmi2",
        "has_lzcnt": "lzcnt",
    }
}

#[cfg(test)]
mod tests {
    use super::has_feature;

    #[test]
    fn the_baseline_is_there_and_unknown_names_are_not_guessed() {
        assert_eq!(has_feature("has_sse3"), Some(true));
        assert_eq!(has_feature("has_telepathy"), None);
    }
}
