//! The configuration that this workbench builds kernels with, and its hash. The text says itself why each symbol is
//! there: `workbench/kernel/virtual.config`.

use super::mend;

/// Kconfig settings for `KCONFIG_ALLCONFIG`. HZ is not among them: it is asked for at each build.
pub const FRAGMENT: &str = include_str!("../../kernel/virtual.config");

/// The first 12 hexadecimal digits of the hash of the settings and of what is mended in the source. Comments do not
/// count: they change no kernel.
pub fn fragment_hash() -> String {
    hash_of(settings(FRAGMENT).chain(mend::all()))
}

/// The lines that set something, in order.
pub(super) fn settings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("CONFIG_"))
}

/// FNV-1a, 64 bits: the same on every machine and in every version of the compiler, which the standard library's hasher
/// does not promise.
fn hash_of<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let bytes = lines.flat_map(|line| line.bytes().chain([b'\n']));
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Most that one comment can explain.
    const GROUP: usize = 6;

    #[test]
    fn every_symbol_has_a_why_right_above_it_or_above_its_small_group() {
        for paragraph in FRAGMENT.split("\n\n") {
            let lines: Vec<&str> = paragraph.lines().collect();
            let symbols = settings(paragraph).count();
            assert!(symbols <= GROUP, "a group of {symbols} under one comment:\n{paragraph}");
            assert!(lines.first().is_some_and(|line| line.starts_with("# ") || symbols == 0), "no why:\n{paragraph}");
        }
    }

    #[test]
    fn every_line_is_a_comment_a_setting_or_empty_and_no_symbol_stands_twice() {
        let mut seen = BTreeSet::new();
        for line in FRAGMENT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (symbol, value) = line.split_once('=').unwrap_or_default();
            assert!(symbol.starts_with("CONFIG_") && !value.is_empty(), "{line}");
            assert!(seen.insert(symbol), "{symbol} stands twice");
        }
        assert!(seen.len() > 100, "{} symbols", seen.len());
    }

    #[test]
    fn hz_is_left_to_the_builder_and_randomness_of_the_host_stays_out() {
        assert!(settings(FRAGMENT).all(|line| !line.starts_with("CONFIG_HZ=") && !line.contains("UML_RANDOM")));
    }

    #[test]
    fn the_hash_is_of_the_settings_and_the_same_everywhere() {
        assert_eq!(hash_of(settings("")), "cbf29ce48422");
        assert_eq!(hash_of(settings("# one\nCONFIG_A=y\n")), hash_of(settings("# another\n\nCONFIG_A=y\n")));
        assert_ne!(hash_of(settings("CONFIG_A=y\n")), hash_of(settings("CONFIG_B=y\n")));
        assert_eq!(fragment_hash().len(), 12);
    }
}
