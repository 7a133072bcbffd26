//! The AppArmor profile that gives one binary what Ubuntu 23.10 and newer keep from binaries without a profile.
//!
//! It confines nothing and changes no switch of the machine: every other program stays as restricted as it was.

use std::path::Path;

/// Where a profile of the administrator's lies.
pub(super) const PROFILE_FILE: &str = "/etc/apparmor.d/workbench";

/// The paths that a profile for this binary attaches to, in AppArmor's pattern syntax (apparmor.d(5), globbing).
///
/// A binary in cargo's `target` comes with siblings, the other build profile's and the tests', which need it as well.
pub(super) fn attachment(workbench: &Path) -> String {
    let folder = workbench.parent().filter(|folder| folder.ends_with("debug") || folder.ends_with("release"));
    match folder.and_then(Path::parent) {
        Some(target) => format!("{}/{{debug,release}}/{{,deps/}}*", literal(target)),
        None => literal(workbench),
    }
}

/// The profile's text, in the form Ubuntu documents for its own browsers.
pub(super) fn profile(attachment: &str) -> String {
    format!(
        "abi <abi/4.0>,\ninclude <tunables/global>\n\nprofile workbench \"{attachment}\" flags=(unconfined) {{\n  userns,\n}}\n"
    )
}

/// A path without what AppArmor would read as a pattern.
fn literal(path: &Path) -> String {
    let special = |c: char| "\\\"[]*?{}^".contains(c);
    let escaped = |c| if special(c) { vec!['\\', c] } else { vec![c] };
    path.to_string_lossy().chars().flat_map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_binary_gets_a_profile_for_itself_alone() {
        assert_eq!(attachment(Path::new("/home/u/.cargo/bin/workbench")), "/home/u/.cargo/bin/workbench");
    }

    #[test]
    fn a_built_binary_shares_its_profile_with_the_tests_beside_it() {
        assert_eq!(
            attachment(Path::new("/home/u/w/target/release/workbench")),
            "/home/u/w/target/{debug,release}/{,deps/}*"
        );
    }

    #[test]
    fn a_path_is_never_read_as_a_pattern() {
        assert_eq!(attachment(Path::new("/a b/[x]*{1}/wb")), "/a b/\\[x\\]\\*\\{1\\}/wb");
    }
}
