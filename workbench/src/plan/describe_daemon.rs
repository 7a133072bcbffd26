//! Daemons and files of a plan in words. Starts and writes nothing.

use std::fmt::Write as _;

use super::daemon::{DaemonPlan, FileContent, FilePlan};
use super::describe::{place_text, shell_word};
use crate::scenario::format_duration;

pub(super) fn daemon_text(file: &str, daemon: &DaemonPlan) -> String {
    let mut text =
        format!("{} in {}: {}  {}\n", daemon.name, daemon.host, words(&daemon.argv), place_text(file, &daemon.origin));
    let who = if daemon.is_root { "root" } else { "nobody" };
    let _ = writeln!(text, "  is {who}, and works in /run/{}", daemon.name);
    for (name, value) in &daemon.env {
        let _ = writeln!(text, "  with {name}={}", shell_word(value));
    }
    for file in &daemon.files {
        let _ = writeln!(text, "  {}", file_text(file));
    }
    for prepare in &daemon.prepare {
        let within = format_duration(prepare.within_ns);
        let _ = writeln!(text, "  first runs, within {within}: {}", words(&prepare.argv));
    }
    let _ = writeln!(text, "  is ready when {}, within {}", daemon.ready, format_duration(daemon.within_ns));
    text
}

pub(super) fn file_text(file: &FilePlan) -> String {
    let path = shell_word(&file.path);
    match &file.content {
        FileContent::Text(text) => format!("finds the file {path}, {} bytes, mode {:04o}", text.len(), file.mode),
        FileContent::Size(bytes) => format!("finds the file {path}, {bytes} made-up bytes, mode {:04o}", file.mode),
        FileContent::Folder => format!("finds the folder {path}, mode {:04o}", file.mode),
    }
}

fn words(argv: &[String]) -> String {
    argv.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}
