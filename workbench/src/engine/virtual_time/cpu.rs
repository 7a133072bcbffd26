//! How much processor time a virtual machine has used, and how much it has read, seen from outside: its own process, which is the kernel, and the
//! processes below it, each of which runs the programs of one address space.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{Pid, SysconfVar, sysconf};

/// One reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The kernel's.
    pub kernel: Duration,
    /// The programs', those that have ended included.
    pub programs: Duration,
    /// What the kernel has read, files of the host in the main, in bytes.
    pub read_bytes: u64,
    /// The share of each process below the machine that still lives, in clock ticks.
    pub(super) each_ticks: BTreeMap<i32, u64>,
}

/// Fields of /proc/PID/stat (proc(5)).
struct Stat {
    parent: i32,
    own_ticks: u64,
    children_ticks: u64,
}

impl Usage {
    /// Reads /proc; `None` once the machine has gone.
    pub fn read(machine: Pid) -> Option<Self> {
        let main = stat(machine)?;
        let is_below = |pid: &Pid, stat: &Stat| stat.parent == machine.as_raw() && *pid != machine;
        let below = children(machine).into_iter().filter_map(|pid| Some((pid, stat(pid)?)));
        let each_ticks: BTreeMap<i32, u64> =
            below.filter(|(pid, stat)| is_below(pid, stat)).map(|(pid, stat)| (pid.as_raw(), stat.own_ticks)).collect();
        let programs_ticks = main.children_ticks + each_ticks.values().sum::<u64>();
        let read_bytes = read_bytes(&fs::read_to_string(format!("/proc/{machine}/io")).unwrap_or_default());
        let (kernel, programs) = (duration(main.own_ticks), duration(programs_ticks));
        Some(Self { kernel, programs, read_bytes, each_ticks })
    }

    /// The process below the machine that has used most since `before`, if one has used anything.
    pub fn busiest_since(&self, before: &Self) -> Option<Pid> {
        let grown = |(pid, ticks): (&i32, &u64)| (ticks - before.each_ticks.get(pid).unwrap_or(&0).min(ticks), *pid);
        let (most, pid) = self.each_ticks.iter().map(grown).max()?;
        (most > 0).then(|| Pid::from_raw(pid))
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
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(11)? + number(12)?,
        children_ticks: number(13)? + number(14)?,
    })
}

/// `rchar` of /proc/PID/io (proc(5)).
fn read_bytes(text: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok()).unwrap_or(0)
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
        assert_eq!((stat.parent, stat.own_ticks, stat.children_ticks), (7, 120, 7));
    }

    #[test]
    fn of_two_processes_the_one_that_used_more_since_the_last_look_is_the_busiest() {
        let usage = |each: [(i32, u64); 2]| Usage { each_ticks: each.into(), ..Usage::default() };
        let (before, after) = (usage([(7, 500), (8, 10)]), usage([(7, 501), (8, 30)]));
        assert_eq!(after.busiest_since(&before), Some(Pid::from_raw(8)));
        assert_eq!(after.busiest_since(&after), None);
    }

    #[test]
    fn what_was_read_is_told_in_bytes() {
        assert_eq!(read_bytes("rchar: 11324143623\nwchar: 7\n"), 11_324_143_623);
        assert_eq!(read_bytes(""), 0);
    }

    #[test]
    fn a_process_that_is_not_there_has_no_usage() {
        assert_eq!(Usage::read(Pid::from_raw(i32::MAX)), None);
    }
}
