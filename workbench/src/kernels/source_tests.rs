//! Sources on made-up trees: what is a kernel's source, which installed tarball counts, and what is mended where.

use super::*;

const MAKEFILE: &str = "# SPDX\nVERSION = 5\nPATCHLEVEL = 10\nSUBLEVEL = 223\nEXTRAVERSION =\nNAME = x\n";

fn room() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a writable folder");
    fs::write(path, text).expect("a writable folder");
}

fn tree() -> tempfile::TempDir {
    let room = room();
    write(&room.path().join("Makefile"), MAKEFILE);
    write(&room.path().join("arch/um/Kconfig"), "config UML_TIME_TRAVEL_SUPPORT\n\tbool\n");
    room
}

#[test]
fn a_tree_says_its_release() {
    assert_eq!(release(MAKEFILE).as_deref(), Some("5.10.223"));
    assert_eq!(
        release("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc4\n").as_deref(),
        Some("7.3.0-rc4")
    );
    assert_eq!(release("all:\n\tcc x.c\n"), None);
}

#[test]
fn a_folder_without_a_kernel_or_a_kernel_without_time_travel_is_refused_with_the_reason() {
    let empty = room();
    let error = check_tree(empty.path()).expect_err("an empty folder").to_string();
    assert!(error.contains("expected the top of a kernel's source tree"), "{error}");
    let old = tree();
    write(&old.path().join("arch/um/Kconfig"), "config UML\n\tbool\n");
    let error = check_tree(old.path()).expect_err("a kernel before 5.4").to_string();
    assert!(error.contains("time travel"), "{error}");
    check_tree(tree().path()).expect("a kernel's source");
}

#[test]
fn of_the_installed_tarballs_the_newest_that_is_new_enough_counts() {
    let room = room();
    assert_eq!(installed(room.path()), None);
    for name in ["linux-source-6.1.tar.xz", "linux-patch-6.12-rt.patch.xz", "linux-config-6.12"] {
        write(&room.path().join(name), "");
    }
    assert_eq!(installed(room.path()), None);
    for name in ["linux-source-6.12.tar.xz", "linux-source-6.9.tar.xz", "linux-source-7.2.tar.xz"] {
        write(&room.path().join(name), "");
    }
    assert_eq!(installed(room.path()), Some(room.path().join("linux-source-7.2.tar.xz")));
}

#[test]
fn the_tarball_is_found_where_debian_and_where_ubuntu_put_it() {
    let room = room();
    write(&room.path().join("linux-patch-6.12-rt.patch.xz"), "");
    assert_eq!(tarball_below(room.path()), None);
    let ubuntus = room.path().join("linux-source-6.8.0/linux-source-6.8.0.tar.bz2");
    write(&ubuntus, "");
    assert_eq!(tarball_below(room.path()), Some(ubuntus));
    let debians = room.path().join("linux-source-6.12.tar.xz");
    write(&debians, "");
    assert_eq!(tarball_below(room.path()), Some(debians));
}
