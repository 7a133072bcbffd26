//! What a kernel's final configuration must hold, and what of the fragment it does not. Pure: text in, names out.

use super::fragment::settings;

/// Without one of these a kernel cannot be the virtual engine's.
const REQUIRED: &[&str] = &[
    "CONFIG_UML_TIME_TRAVEL_SUPPORT",
    "CONFIG_HOSTFS",
    "CONFIG_SECCOMP_FILTER",
    "CONFIG_NET_NS",
    "CONFIG_VETH",
    "CONFIG_NF_TABLES",
    "CONFIG_NFT_FWD_NETDEV",
    "CONFIG_NET_SCH_NETEM",
    "CONFIG_INET_DIAG",
];

/// The required symbols that a `.config` does not set to `y`, as it would have to set them.
pub(super) fn lacking(config: &str) -> Vec<String> {
    let lacks = |symbol: &&&str| value(config, symbol) != Some("y");
    REQUIRED.iter().filter(lacks).map(|symbol| format!("{symbol}=y")).collect()
}

/// The fragment's symbols that are asked for with `=y` and that a `.config` does not have.
pub(super) fn not_taken(fragment: &str, config: &str) -> Vec<String> {
    let symbols = settings(fragment).filter_map(|line| line.strip_suffix("=y"));
    symbols.filter(|symbol| value(config, symbol) != Some("y")).map(str::to_owned).collect()
}

/// CONFIG_HZ.
pub(super) fn hz(config: &str) -> Option<u64> {
    value(config, "CONFIG_HZ")?.parse().ok()
}

/// CONFIG_CC_VERSION_TEXT, or an empty text.
pub(super) fn compiler(config: &str) -> String {
    value(config, "CONFIG_CC_VERSION_TEXT").unwrap_or_default().trim_matches('"').to_owned()
}

fn value<'a>(config: &'a str, symbol: &str) -> Option<&'a str> {
    config.lines().find_map(|line| line.strip_prefix(symbol)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::super::fragment::FRAGMENT;
    use super::*;

    #[test]
    fn what_is_required_is_what_the_fragment_asks_for() {
        assert_eq!(lacking(FRAGMENT), Vec::<String>::new());
        assert_eq!(not_taken(FRAGMENT, FRAGMENT), Vec::<String>::new());
    }

    #[test]
    fn a_symbol_that_is_off_a_module_or_the_beginning_of_another_is_lacking() {
        let config = FRAGMENT
            .replace("CONFIG_VETH=y", "# CONFIG_VETH is not set")
            .replace("CONFIG_HOSTFS=y", "CONFIG_HOSTFS=m")
            .replace("CONFIG_NF_TABLES=y", "");
        assert_eq!(lacking(&config), ["CONFIG_HOSTFS=y", "CONFIG_VETH=y", "CONFIG_NF_TABLES=y"]);
        assert_eq!(not_taken(FRAGMENT, &config), ["CONFIG_HOSTFS", "CONFIG_VETH", "CONFIG_NF_TABLES"]);
    }

    #[test]
    fn hz_and_compiler_are_read_from_the_configuration() {
        let config = "CONFIG_HZ_250=y\nCONFIG_HZ=300\nCONFIG_CC_VERSION_TEXT=\"gcc (Debian 12.2.0-14) 12.2.0\"\n";
        assert_eq!(hz(config), Some(300));
        assert_eq!(compiler(config), "gcc (Debian 12.2.0-14) 12.2.0");
        assert_eq!((hz(""), compiler("")), (None, String::new()));
    }
}
