//! How much processor time a virtual machine has used, seen from outside: its own process, which is the kernel, and the
//! processes below it, each of which runs the programs of one address space.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{Pid, SysconfVar, sysconf};

/// One reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The kernel's.
    pub kernel: Duration,
    /// The programs', those that have ended included.
    pub programs: Duration,
    /// The process below the machine that runs or is ready to run, if one is.
    pub running: Option<Pid>,
}

/// Fields of /proc/PID/stat (proc(5)).
struct Stat {
    state: char,
    parent: i32,
    own_ticks: u64,
    children_ticks: u64,
}

impl Usage {
    /// Reads /proc; `None` once the machine has gone.
    pub fn read(machine: Pid) -> Option<Self> {
        let main = stat(machine)?;
        let mut programs_ticks = main.children_ticks;
        let mut running = None;
        for pid in children(machine) {
            let Some(stat) = stat(pid) else { continue };
            if stat.parent != machine.as_raw() {
                continue;
            }
            programs_ticks += stat.own_ticks;
            if stat.state == 'R' {
                running = Some(pid);
            }
        }
        Some(Self { kernel: duration(main.own_ticks), programs: duration(programs_ticks), running })
    }
}

/// The kernel lists them where it was built with CONFIG_PROC_CHILDREN, as distributions do; else all are looked at.
fn children(machine: Pid) -> Vec<Pid> {
    let numbers = |text: &str| text.split_whitespace().filter_map(|n| n.parse().ok()).map(Pid::from_raw).collect();
    if let Ok(list) = fs::read_to_string(format!("/proc/{machine}/task/{machine}/children")) {
        return numbers(&list);
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
    pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == machine.as_raw())).collect()
}

fn stat(pid: Pid) -> Option<Stat> {
    parse_stat(&fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name is in brackets and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(11)? + number(12)?,
        children_ticks: number(13)? + number(14)?,
    })
}

fn duration(ticks: u64) -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100).max(1) as u64;
    Duration::from_millis(ticks * 1_000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) R) x) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7";
        let stat = parse_stat(text).expect("it is a line of /proc/PID/stat");
        assert_eq!((stat.state, stat.parent, stat.own_ticks, stat.children_ticks), ('S', 7, 120, 7));
    }

    #[test]
    fn this_process_uses_its_own_time_and_has_no_children_that_run() {
        let usage = Usage::read(Pid::this()).expect("this process is there");
        assert_eq!(usage.running, None);
    }

    #[test]
    fn a_process_that_is_not_there_has_no_usage() {
        assert_eq!(Usage::read(Pid::from_raw(i32::MAX)), None);
    }
}
