//! Mistakes of User-Mode Linux in older releases without whose mending it is of no use to the virtual engine. Mended in
//! copies of ours only; a tree of the user's is refused with the reason.

use std::fs;
use std::path::Path;

use super::about::version;
use super::error::KernelError;

/// One mistake: a text that stands in a file, and what has to stand there instead.
struct Mistake {
    file: &'static str,
    broken: &'static str,
    mended: &'static str,
    /// What it does, for whoever has to mend it.
    why: &'static str,
}

const MISTAKES: &[Mistake] = &[
    // Linux 5.10.
    Mistake {
        file: "arch/um/kernel/time.c",
        broken: "__setup(\"time-travel-start\", ",
        mended: "__setup(\"time-travel-start=\", ",
        why: "the option \"time-travel-start\" lacks its `=`, without which its value is ignored and no run is like \
              another",
    },
    // Before Linux 6.16, which asks the processor. The kernel of the host takes a whole set of registers or none
    // (xstateregs_set in arch/x86/kernel/fpu/regset.c), and gives what it has where there is room for more.
    Mistake {
        file: "arch/x86/um/user-offsets.c",
        broken: "DEFINE_LONGS(HOST_FP_SIZE, 2696);",
        mended: "DEFINE_LONGS(HOST_FP_SIZE, 12288);",
        why: "a processor's registers are taken to have 2,696 bytes, while those of one with AMX have 11,008 and no \
              program starts there (\"ptrace set fp regs failed\")",
    },
    // Where programs run under ptrace; since Linux 6.16 they can run under seccomp, which outlives the kernel.
    Mistake {
        file: "arch/um/os-Linux/skas/process.c",
        broken: "PTRACE_O_TRACESYSGOOD) < 0) {",
        mended: "(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) < 0) {",
        why: "a program outlives the kernel that is killed, and from then on its system calls are the host's \
              (PTRACE_O_EXITKILL, ptrace(2))",
    },
];

/// The mistakes that a tree has.
fn mistakes(tree: &Path) -> impl Iterator<Item = &'static Mistake> {
    let has = |mistake: &&Mistake| {
        fs::read_to_string(tree.join(mistake.file)).is_ok_and(|text| text.contains(mistake.broken))
    };
    MISTAKES.iter().filter(has).collect::<Vec<_>>().into_iter()
}

/// All that is mended, for the hash of what a kernel was built with.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    MISTAKES.iter().flat_map(|mistake| [mistake.file, mistake.mended])
}

/// Refuses a user's tree that has one.
///
/// # Errors
///
/// The mistakes, and how to go on.
pub(super) fn refuse_broken(tree: &Path, release: Option<&str>) -> Result<(), KernelError> {
    // A kernel that runs its programs under seccomp does without ptrace, and has asked the processor since before that.
    if release.is_some_and(|release| version(release) >= (6, 16, 0)) {
        return Ok(());
    }
    let whys: Vec<String> = mistakes(tree).map(|mistake| format!("in {} {}", mistake.file, mistake.why)).collect();
    if whys.is_empty() {
        return Ok(());
    }
    let why = format!(
        "{}; this tree is yours and is not changed: mend it, or give a tarball of it (`git archive`), of which a copy is \
         mended",
        whys.join("; ")
    );
    Err(KernelError::NotSource { path: tree.to_owned(), why })
}

/// Mends a tree of ours.
///
/// # Errors
///
/// A file cannot be written.
pub(super) fn mend(tree: &Path) -> Result<(), KernelError> {
    for mistake in mistakes(tree) {
        let path = tree.join(mistake.file);
        let text = fs::read_to_string(&path).map_err(KernelError::at(&path))?;
        fs::write(&path, text.replace(mistake.broken, mistake.mended)).map_err(KernelError::at(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(of: impl Fn(&Mistake) -> &'static str) -> tempfile::TempDir {
        let room = tempfile::tempdir().expect("a temporary folder");
        for mistake in MISTAKES {
            let path = room.path().join(mistake.file);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a writable folder");
            fs::write(&path, format!("a\n{}x\nb\n", of(mistake))).expect("a writable folder");
        }
        room
    }

    #[test]
    fn every_mistake_is_mended_once_and_nothing_else_changes() {
        let (broken, expected) = (tree(|mistake| mistake.broken), tree(|mistake| mistake.mended));
        assert_eq!(mistakes(broken.path()).count(), MISTAKES.len());
        mend(broken.path()).expect("our own tree");
        assert_eq!(mistakes(broken.path()).count(), 0);
        for Mistake { file, .. } in MISTAKES {
            let text = |room: &tempfile::TempDir| fs::read_to_string(room.path().join(file)).expect("a file");
            assert_eq!(text(&broken), text(&expected));
        }
    }

    #[test]
    fn a_users_tree_with_mistakes_is_refused_with_all_of_them() {
        refuse_broken(tree(|mistake| mistake.mended).path(), Some("6.12.1")).expect("a tree without mistakes");
        let broken = tree(|mistake| mistake.broken);
        refuse_broken(broken.path(), Some("6.16.0")).expect("a tree that does without ptrace");
        let error = refuse_broken(broken.path(), Some("6.12.1")).expect_err("a tree with all").to_string();
        assert!(["time-travel-start", "AMX", "EXITKILL"].iter().all(|word| error.contains(word)), "{error}");
        assert!(error.contains("is not changed"), "{error}");
    }
}
