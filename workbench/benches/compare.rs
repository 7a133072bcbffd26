//! What a run costs beside the hand-made way and beside the least that any such program must do.
//!
//! Three ways, in turn and side by side: `by-hand.sh` (ip, nft, strace, tcpdump), `workbench run` on the same two
//! hosts, and `unshare … true`, the floor. For each the median wall time, and the time until its last process, in the
//! background or not, has ended. The kernel frees the namespaces it then still has on its own, a moment later.
//!
//! `cargo bench --bench compare [-- ROUNDS]`; needs what `workbench doctor --tests` looks for.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::{WaitStatus, waitpid};

const BENCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workbench/benches");
const LEAST_ROUNDS: usize = 15;
/// The workbench's share of the hand-made way's time that it is to stay under.
const GOAL: f64 = 0.2;

/// One way of doing it, and how long each round of it took.
struct Way {
    name: &'static str,
    words: Vec<String>,
    walls: Vec<Duration>,
    lasts: Vec<Duration>,
}

impl Way {
    fn new(name: &'static str, words: &[&str]) -> Self {
        Self { name, words: words.iter().map(|word| (*word).to_owned()).collect(), walls: vec![], lasts: vec![] }
    }

    /// Runs it once. As subreaper this process inherits whatever the command leaves behind (prctl(2),
    /// PR_SET_CHILD_SUBREAPER), so that no child left means nothing left.
    fn measure(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{}: {error}", self.words[0]))?;
        loop {
            match waitpid(None, None) {
                Ok(WaitStatus::Exited(pid, 0)) if pid.as_raw() as u32 == child.id() => self.walls.push(start.elapsed()),
                Ok(status) if status.pid().is_some_and(|pid| pid.as_raw() as u32 == child.id()) => {
                    return Err(format!("{}: {status:?}", self.words.join(" ")));
                }
                Ok(_) => {}
                Err(Errno::ECHILD) => break,
                Err(errno) => return Err(format!("waitpid: {errno}")),
            }
        }
        self.lasts.push(start.elapsed());
        Ok(())
    }
}

fn main() -> Result<(), String> {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(LEAST_ROUNDS).max(LEAST_ROUNDS);
    set_child_subreaper(true).map_err(|errno| format!("PR_SET_CHILD_SUBREAPER: {errno}"))?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut ways = ways(folder.path());
    for way in &mut ways {
        way.measure()?; // reads everything into the page cache
        way.walls.clear();
        way.lasts.clear();
    }
    for round in 0..rounds {
        for turn in 0..ways.len() {
            let next = (round + turn) % ways.len();
            ways[next].measure()?;
        }
    }
    print!("{}", report(&ways, rounds));
    Ok(())
}

fn ways(folder: &Path) -> [Way; 3] {
    let folder = folder.to_string_lossy();
    let scenario = format!("{BENCHES}/true.kdl");
    [
        Way::new("by hand", &["sh", &format!("{BENCHES}/by-hand.sh"), &folder]),
        Way::new("workbench", &[env!("CARGO_BIN_EXE_workbench"), "run", "--no-snapshot", &scenario]),
        Way::new("floor", &["unshare", "-Urnpf", "--mount-proc", "true"]),
    ]
}

fn report(ways: &[Way; 3], rounds: usize) -> String {
    let mut text = format!("{rounds} rounds each, milliseconds\n\n");
    text += &format!("{:<10} {:>8} {:>8} {:>8} {:>22}\n", "", "median", "least", "most", "until nothing is left");
    for way in ways {
        let [median, least, most] = figures(&way.walls);
        let [last, ..] = figures(&way.lasts);
        text += &format!("{:<10} {median:>8.1} {least:>8.1} {most:>8.1} {last:>22.1}\n", way.name);
    }
    let [by_hand, workbench, floor] = ways.each_ref().map(|way| figures(&way.walls)[0]);
    let share = workbench / by_hand;
    let outcome = if share <= GOAL { "met" } else { "missed" };
    text += &format!("\nworkbench / by hand: {share:.3} (goal: at most {GOAL}, {outcome})\n");
    text + &format!("workbench / floor:   {:.2}\n", workbench / floor)
}

/// Median, least and most, in milliseconds.
fn figures(times: &[Duration]) -> [f64; 3] {
    let mut ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    let middle = ms.len() / 2;
    let median = if ms.len().is_multiple_of(2) { (ms[middle - 1] + ms[middle]) / 2.0 } else { ms[middle] };
    [median, ms[0], ms[ms.len() - 1]]
}
