//! The cache on made-up folders: what is listed, in which order, and what never is.

use super::super::fragment::fragment_hash;
use super::*;

fn about(release: &str, hz: u64, fragment: &str) -> About {
    About { release: release.into(), hz, fragment: fragment.into(), compiler: "gcc 12".into(), source: "a test".into() }
}

fn put(folder: &Path, about: &About) {
    let place = folder.join(about.folder_name());
    fs::create_dir_all(&place).expect("a writable folder");
    fs::write(place.join(IMAGE), "").expect("a writable folder");
    fs::write(place.join(ABOUT), serde_json::to_string(about).expect("plain values")).expect("a writable folder");
}

#[test]
fn the_cache_is_where_the_most_particular_variable_says() {
    let set = |names: &'static [(&str, &str)]| {
        root_of(|name| names.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
    };
    assert_eq!(set(&[("HOME", "/home/u")]), Some("/home/u/.cache/workbench".into()));
    assert_eq!(set(&[("HOME", "/home/u"), ("XDG_CACHE_HOME", "/c")]), Some("/c/workbench".into()));
    assert_eq!(set(&[("HOME", "/home/u"), ("XDG_CACHE_HOME", "c")]), Some("/home/u/.cache/workbench".into()));
    assert_eq!(set(&[("WORKBENCH_CACHE", "/w"), ("XDG_CACHE_HOME", "/c")]), Some("/w".into()));
    assert_eq!(set(&[("WORKBENCH_CACHE", ""), ("HOME", "")]), None);
}

#[test]
fn a_folder_that_does_not_exist_holds_no_kernel() {
    let room = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(all_in(&room.path().join("kernels")).expect("an empty list"), []);
}

#[test]
fn kernels_are_listed_by_version_as_numbers_then_by_hz_then_with_the_current_fragment_last() {
    let room = tempfile::tempdir().expect("a temporary folder");
    let current = fragment_hash();
    for (release, hz, fragment) in [
        ("6.12.117", 1000, "000000000000"),
        ("6.12.117", 250, current.as_str()),
        ("6.12.117", 250, "ffffffffffff"),
        ("6.12.117", 250, ""),
        ("6.12.9", 250, ""),
        ("5.10.223", 250, ""),
        ("10.1.0", 100, ""),
    ] {
        put(room.path(), &about(release, hz, fragment));
    }
    let names: Vec<String> = all_in(room.path()).expect("kernels").iter().map(Kernel::folder_name).collect();
    assert_eq!(
        names,
        [
            "5.10.223-hz250-foreign".to_owned(),
            "6.12.9-hz250-foreign".to_owned(),
            "6.12.117-hz250-ffffffffffff".to_owned(),
            "6.12.117-hz250-foreign".to_owned(),
            format!("6.12.117-hz250-{current}"),
            "6.12.117-hz1000-000000000000".to_owned(),
            "10.1.0-hz100-foreign".to_owned(),
        ]
    );
}

#[test]
fn what_is_half_written_or_under_another_name_is_not_listed() {
    let room = tempfile::tempdir().expect("a temporary folder");
    let whole = about("6.12.1", 250, "");
    put(room.path(), &whole);
    put(room.path(), &about("6.12.2", 250, ""));
    fs::remove_file(room.path().join("6.12.2-hz250-foreign").join(IMAGE)).expect("just written");
    put(room.path(), &about("6.12.3", 250, ""));
    fs::write(room.path().join("6.12.3-hz250-foreign").join(ABOUT), "{\"release\": \"6.1").expect("just written");
    put(room.path(), &about("6.12.4", 250, ""));
    fs::rename(room.path().join("6.12.4-hz250-foreign"), room.path().join(".new")).expect("just written");
    fs::write(room.path().join("a-file"), "").expect("a writable folder");
    let listed: Vec<About> = all_in(room.path()).expect("kernels").into_iter().map(|kernel| kernel.about).collect();
    assert_eq!(listed, [whole]);
}
