//! Asks a program for its version, inside the lab: nothing of the machine can be touched by it there.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::clock::monotonic_ns;
use super::coarse_clock::CoarseClock;

/// Tried in order, until one prints something that looks like a version. Both `nc` know only `-h`.
const QUESTIONS: [&str; 3] = ["--version", "-V", "-h"];

/// A program that does not answer by then is not asked again.
const PATIENCE_NS: i64 = 2_000_000_000;

/// More programs than this in one run are somebody's shell script.
const MOST_PROGRAMS: usize = 4;

/// The versions of `programs`, those in one of `known` without asking.
pub fn versions(
    programs: &[String],
    known: &[&BTreeMap<String, String>],
    env: &[(String, String)],
    is_in_virtual_time: bool,
) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for program in programs {
        let name = program.rsplit('/').next().unwrap_or(program);
        if versions.contains_key(name) || versions.len() == MOST_PROGRAMS {
            continue;
        }
        let version =
            known.iter().find_map(|known| known.get(name)).cloned().or_else(|| ask(program, env, is_in_virtual_time));
        versions.insert(name.to_owned(), version.unwrap_or_else(|| "unknown".to_owned()));
    }
    versions
}

fn ask(program: &str, env: &[(String, String)], is_in_virtual_time: bool) -> Option<String> {
    QUESTIONS.iter().find_map(|question| version_line(&answer(program, question, env, is_in_virtual_time)?))
}

/// What a program prints when asked, standard output first.
fn answer(program: &str, question: &str, env: &[(String, String)], is_in_virtual_time: bool) -> Option<String> {
    let mut command = Command::new(program);
    command.arg(question).env_clear().envs(env.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A filter is for good, so it is put on a thread that ends.
    let start = || {
        let coarse_clock = is_in_virtual_time.then(CoarseClock::for_this_thread).transpose()?;
        command.spawn().map(|child| (child, coarse_clock))
    };
    let (mut child, coarse_clock) = thread::scope(|scope| scope.spawn(start).join()).ok()?.ok()?;
    let text = read_both(&mut child, coarse_clock);
    let _ = child.kill();
    let _ = child.wait();
    Some(text)
}

/// Reads until both streams end or patience does; at most a few pages.
fn read_both(child: &mut Child, mut coarse_clock: Option<CoarseClock>) -> String {
    let give_up = monotonic_ns() + PATIENCE_NS;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let mut text = [String::new(), String::new()];
    while out.is_some() || err.is_some() {
        let left_ms = ((give_up - monotonic_ns()) / 1_000_000).max(0);
        let timeout = PollTimeout::try_from(left_ms).unwrap_or(PollTimeout::ZERO);
        let mut fds = Vec::new();
        fds.extend(out.as_ref().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        fds.extend(err.as_ref().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        fds.extend(coarse_clock.as_ref().map(|clock| PollFd::new(clock.as_fd(), PollFlags::POLLIN)));
        if left_ms == 0 || poll(&mut fds, timeout).is_err() {
            break;
        }
        let mut ready = fds.iter().map(|f| f.revents().is_some_and(|r| !r.is_empty())).collect::<Vec<_>>().into_iter();
        let out_ready = out.is_some() && ready.next().unwrap_or(false);
        let err_ready = err.is_some() && ready.next().unwrap_or(false);
        if out_ready && !read_some(out.as_mut(), &mut text[0]) {
            out = None;
        }
        if err_ready && !read_some(err.as_mut(), &mut text[1]) {
            err = None;
        }
        coarse_clock = coarse_clock.and_then(|mut clock| clock.answer().is_ok_and(|is_read| is_read).then_some(clock));
    }
    text.concat()
}

/// Whether there may be more.
fn read_some(stream: Option<&mut impl Read>, text: &mut String) -> bool {
    let mut chunk = [0; 4096];
    match stream.map(|s| s.read(&mut chunk)) {
        Some(Ok(n)) if n > 0 && text.len() < 64 * 1024 => {
            text.push_str(&String::from_utf8_lossy(&chunk[..n]));
            true
        }
        _ => false,
    }
}

/// The first line that holds a number with a dot in it, shortened.
fn version_line(text: &str) -> Option<String> {
    let line = text.lines().find(|line| {
        line.as_bytes().windows(3).any(|w| w[0].is_ascii_digit() && w[1] == b'.' && w[2].is_ascii_digit())
    })?;
    Some(line.trim().chars().filter(|c| !c.is_control()).take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::version_line;

    #[test]
    fn the_line_with_a_version_is_found_among_others() {
        let text = "nc: invalid option\nOpenBSD netcat (Debian patchlevel 1.219-1)\nusage: nc";
        assert_eq!(version_line(text).as_deref(), Some("OpenBSD netcat (Debian patchlevel 1.219-1)"));
    }

    #[test]
    fn a_text_without_a_version_gives_none() {
        assert_eq!(version_line("usage: true [ignored]"), None);
    }
}
