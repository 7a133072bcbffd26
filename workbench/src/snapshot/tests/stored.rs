//! Snapshots as files: where, byte for byte, and what a person is told when one is wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::{Connect, Random};
use crate::evidence::EngineKind;
use crate::snapshot::{
    Checked, Holds, Outcome, Pending, Reviewed, Store, StoreError, Tolerance, list_pending, pending_for, review,
    unreferenced,
};

const TOLERANCE: Tolerance = Tolerance { tick_ns: 4_000_000, lateness_ns: 0, engine: EngineKind::Host };

/// A folder with these scenarios in it, and `snapshots/` if asked for.
fn project(scenarios: &[&str], has_snapshots: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for scenario in scenarios {
        let file = root.join(scenario);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    if has_snapshots {
        fs::create_dir(root.join("snapshots")).unwrap();
    }
    (folder, root)
}

fn below(root: &Path, store: &Store, run: &str) -> String {
    store.path(run).strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn snapshots_stand_under_the_nearest_folder_that_has_them_and_never_collide() {
    let (_guard, root) = project(&["scenarios/a.kdl", "scenarios/tcp/a.kdl", "scenarios/a-b.kdl", "more/a.kdl"], true);
    let at = |file: &str, run| below(&root, &Store::for_scenario(&root.join(file)).unwrap(), run);
    assert_eq!(at("scenarios/a.kdl", "b-c"), "snapshots/a/b-c.snap");
    assert_eq!(at("scenarios/a-b.kdl", "c"), "snapshots/a-b/c.snap");
    assert_eq!(at("scenarios/tcp/a.kdl", "c"), "snapshots/tcp/a/c.snap");
    assert_eq!(at("scenarios/tcp/../a.kdl", "c"), "snapshots/a/c.snap");
    assert_eq!(at("more/a.kdl", "c"), "snapshots/more/a/c.snap");
    assert_eq!(at("scenarios/a.kdl", "a__b/../c"), "snapshots/a/a_%5Fb%2F..%2Fc.snap");
    assert_eq!(at("scenarios/a.kdl", ".."), "snapshots/a/%2E..snap");
    fs::create_dir(root.join("scenarios/tcp/snapshots")).unwrap();
    assert_eq!(at("scenarios/tcp/a.kdl", "c"), "scenarios/tcp/snapshots/a/c.snap");
}

#[test]
fn without_a_snapshots_folder_above_they_stand_beside_the_scenario() {
    let (_guard, root) = project(&["scenarios/a.kdl"], false);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    assert_eq!(below(&root, &store, "c"), "scenarios/snapshots/a/c.snap");
}

#[test]
fn what_was_accepted_is_loaded_again() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    assert_eq!(store.load("curl").unwrap(), None);
    let snapshot = Connect::on_time(3).snapshot();
    store.accept("curl", &snapshot).unwrap();
    assert_eq!(store.load("curl").unwrap(), Some(snapshot));
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 1);
}

#[test]
fn insta_reads_and_writes_the_file_without_changing_a_byte() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let mut snapshot = Connect::on_time(3).snapshot();
    for about in
        ["", "null", "1.0", "a: b", "- x", "\"q\" 'q' \\", "tab\there\u{7f}\u{1b}\r\n é", "# c", "{a}", " a ", "yes"]
    {
        snapshot.about = Some(about.to_owned());
        snapshot.recording.kernel = "6.10".to_owned();
        snapshot.recording.tools.insert(about.to_owned(), about.to_owned());
        let path = store.accept("curl", &snapshot).unwrap();
        let bytes = fs::read(&path).unwrap();
        insta::Snapshot::from_file(&path).unwrap().save(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        let loaded = store.load("curl").unwrap().unwrap();
        assert_eq!(loaded.recording, snapshot.recording);
        assert_eq!(loaded.about.unwrap_or_default(), about);
    }
}

#[test]
fn a_run_that_agrees_leaves_the_file_and_removes_a_stale_pending_one() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let path = store.accept("curl", &Connect::on_time(2).snapshot()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let stale = store.write_pending("curl", &Connect::on_time(3).snapshot()).unwrap();
    let mut later = Connect::on_time(2);
    later.end.1 += 100_000_000;
    let checked = store.check("curl", &later.snapshot(), &TOLERANCE, true).unwrap();
    assert!(matches!(checked, Checked::Compared { pending: None, .. }));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert!(!stale.exists());
}

#[test]
fn a_run_that_differs_leaves_a_pending_one_which_can_be_accepted() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let Checked::New { pending: Some(new) } =
        store.check("curl", &Connect::on_time(1).snapshot(), &TOLERANCE, true).unwrap()
    else {
        panic!("expected a new snapshot");
    };
    pending_for(&new).unwrap()[0].accept().unwrap();
    let two = Connect::on_time(2).snapshot();
    let Checked::Compared { comparison, pending: Some(new) } = store.check("curl", &two, &TOLERANCE, true).unwrap()
    else {
        panic!("expected a pending snapshot");
    };
    assert_eq!(comparison.outcome, Outcome::Differs);
    assert_eq!(store.load("curl").unwrap(), Some(Connect::on_time(1).snapshot()));
    pending_for(&new).unwrap()[0].accept().unwrap();
    assert_eq!(store.load("curl").unwrap(), Some(two));
    assert!(!new.exists());
}

#[test]
fn nothing_is_written_when_nothing_may_be() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let one = Connect::on_time(1).snapshot();
    assert_eq!(store.check("curl", &one, &TOLERANCE, false).unwrap(), Checked::New { pending: None });
    assert!(!store.folder().exists());
    store.accept("curl", &one).unwrap();
    let stale = store.write_pending("curl", &one).unwrap();
    store.check("curl", &one, &TOLERANCE, false).unwrap();
    assert!(stale.exists());
}

#[test]
fn a_damaged_snapshot_is_named_by_file_and_line_with_what_to_do() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let path = store.accept("curl", &Connect::on_time(1).snapshot()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("+1.000 s", "+1.0O0 s")).unwrap();
    let line = 1 + text.lines().position(|line| line.contains("+1.000 s")).unwrap();
    let message = store.load("curl").unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}:{line}: expected a wait", path.display())), "{message}");
    assert!(message.contains("found `+1.0O0 s  RTO of 1 s, timer wheel`; correct the line, or delete"), "{message}");
}

#[test]
fn somebody_elses_file_is_not_taken_for_a_snapshot() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let path = store.path("curl");
    fs::create_dir_all(store.folder()).unwrap();
    let texts: [&[u8]; 6] = [
        b"",
        b"source: old\n\ntext",
        b"---\nsource: x\n---\ntext",
        b"---\ninfo:\n  a: 1\n---\ntext",
        b"\xff\xfe",
        b"---\nsource: x\n",
    ];
    for text in texts {
        fs::write(&path, text).unwrap();
        let error = store.load("curl").unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        fs::rename(&path, path.with_extension("snap.new")).unwrap();
        assert_eq!(pending_for(&root).unwrap(), []);
    }
}

#[test]
fn no_damage_to_a_header_makes_a_panic() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let path = store.accept("curl", &Connect::on_time(1).snapshot()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut random = Random(6);
    for _ in 0..1000 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            let at = usize::try_from(random.below(300)).unwrap();
            damaged[at] = b":-\"'{}[]\n &*|>%@`\xff"[usize::try_from(random.below(18)).unwrap()];
        }
        fs::write(&path, damaged).unwrap();
        let _ = store.load("curl");
    }
}

#[test]
fn two_scenarios_that_would_share_a_snapshot_are_told_so() {
    let (_guard, root) = project(&["scenarios/a.kdl", "a.kdl"], true);
    let [inner, outer] = ["scenarios/a.kdl", "a.kdl"].map(|file| Store::for_scenario(&root.join(file)).unwrap());
    inner.accept("curl", &Connect::on_time(1).snapshot()).unwrap();
    let message = outer.load("curl").unwrap_err().to_string();
    assert!(message.contains("belongs to scenarios/a.kdl, and a.kdl would use the same file"), "{message}");
    fs::remove_file(root.join("scenarios/a.kdl")).unwrap();
    assert!(outer.load("curl").unwrap().is_some());
}

#[test]
fn a_review_accepts_rejects_and_skips() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    store.accept("2", &Connect::on_time(1).snapshot()).unwrap();
    for run in ["1", "2", "3", "4"] {
        store.write_pending(run, &Connect::on_time(2).snapshot()).unwrap();
    }
    let pending = pending_for(&root.join("scenarios/a.kdl")).unwrap();
    assert_eq!(pending.len(), 4);
    let mut output = Vec::new();
    let reviewed = review(&pending, &mut "a\nwhat\nr\ns\n".as_bytes(), &mut output, false).unwrap();
    assert_eq!(reviewed, Reviewed { accepted: 1, rejected: 1, skipped: 2 });
    assert_eq!(store.load("1").unwrap(), Some(Connect::on_time(2).snapshot()));
    assert_eq!(store.load("2").unwrap(), Some(Connect::on_time(1).snapshot()));
    let left = pending_for(&root).unwrap();
    let names: Vec<_> = left.iter().filter_map(|pending| pending.new.file_name()?.to_str()).collect();
    assert_eq!(names, ["3.snap.new", "4.snap.new"]);
    let shown = String::from_utf8(output).unwrap();
    assert!(shown.contains("[1/4] ") && shown.contains("a new snapshot"), "{shown}");
    assert!(shown.contains("SYN, retransmission 2"), "{shown}");
}

#[test]
fn a_list_shows_what_waits_and_what_is_wrong_with_it() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let new = store.write_pending("1", &Connect::on_time(2).snapshot()).unwrap();
    let text = fs::read_to_string(&new).unwrap();
    fs::write(&new, text.replace("exit 28 after", "exit after")).unwrap();
    let pending = pending_for(&root).unwrap();
    let mut output = Vec::new();
    list_pending(&pending, &mut output, false).unwrap();
    assert!(String::from_utf8(output).unwrap().contains("expected how it ended"));
    assert!(pending[0].accept().is_err());
    assert!(new.exists());
}

#[test]
fn only_a_pending_snapshot_can_be_named_for_acceptance() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let new = store.write_pending("1", &Connect::on_time(1).snapshot()).unwrap();
    let one = vec![Pending { new: new.clone(), accepted: store.path("1") }];
    assert_eq!(pending_for(&store.path("1")).unwrap(), one);
    assert_eq!(pending_for(&new).unwrap(), one);
    for nothing in ["snapshots/a/2.snap", "snapshots/a/2.snap.new", "Cargo.toml", "nowhere"] {
        assert!(matches!(pending_for(&root.join(nothing)), Err(StoreError::NotPending { .. })), "{nothing}");
    }
}

#[test]
fn a_snapshot_without_its_run_is_found() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    for run in ["1", "2"] {
        store.accept(run, &Connect::on_time(1).snapshot()).unwrap();
    }
    fs::write(root.join("snapshots/other.snap"), "---\nsource: x\n---\ntext").unwrap();
    let known = BTreeSet::from([store.path("1")]);
    assert_eq!(unreferenced(&root, &known).unwrap(), [store.path("2")]);
}

#[test]
fn repeats_of_a_run_may_write_at_the_same_time() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let snapshots = [1, 5].map(|retries| Connect::on_time(retries).snapshot());
    std::thread::scope(|scope| {
        for snapshot in &snapshots {
            scope.spawn(|| {
                for _ in 0..100 {
                    store.accept("curl", snapshot).unwrap();
                    assert!(snapshots.contains(&store.load("curl").unwrap().unwrap()));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 1);
}

#[test]
fn a_range_of_kernels_has_a_snapshot_of_its_own_and_says_why() {
    let (_guard, root) = project(&["scenarios/a.kdl"], true);
    let store = Store::for_scenario(&root.join("scenarios/a.kdl")).unwrap();
    let why = "tcp_syn_linear_timeouts: \"the first four\" are not doubled";
    let holds = |since: Option<&str>, before: Option<&str>| {
        Some(Holds { since: since.map(str::to_owned), before: before.map(str::to_owned), why: why.to_owned() })
    };
    for (name, holds) in [("curl", holds(None, Some("6.5"))), ("curl@6.5", holds(Some("6.5"), None))] {
        let mut snapshot = Connect::on_time(3).snapshot();
        snapshot.recording.holds = holds;
        let file = store.accept(name, &snapshot).unwrap();
        assert_eq!(file, root.join(format!("snapshots/a/{name}.snap")));
        assert_eq!(store.load(name).unwrap(), Some(snapshot.clone()));
        let bytes = fs::read(&file).unwrap();
        insta::Snapshot::from_file(&file).unwrap().save(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), bytes);
        store.write_pending(name, &snapshot).unwrap();
    }
    let text = fs::read_to_string(store.path("curl@6.5")).unwrap();
    assert!(text.contains("  since: \"6.5\"\n") && text.contains("  why: "), "{text}");
    assert_eq!(store.load("curl@6.12").unwrap(), None);
    let pending = pending_for(&root).unwrap();
    assert_eq!(pending.len(), 2);
    assert_eq!(pending[1].accepted, store.path("curl@6.5"));
    pending.iter().for_each(|pending| pending.accept().unwrap());
    let known = BTreeSet::from([store.path("curl"), store.path("curl@6.12")]);
    assert_eq!(unreferenced(&root, &known).unwrap(), [store.path("curl@6.5")]);
}
