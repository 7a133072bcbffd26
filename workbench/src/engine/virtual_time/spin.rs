//! Which program of a virtual machine a process below it runs, and whether that reads the clock again and again.
//!
//! The machine's processes have no names that the host could see, but their memory is the programs' own: the name that a
//! program was started by stands at the upper end of its stack (`AT_EXECFN`, create_elf_tables in fs/binfmt_elf.c), and
//! a program that reads the clock does so in the one page of the vdso.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

const PAGE_BYTES: u64 = 4096;

/// A process below a machine.
#[derive(Debug)]
pub struct Inside {
    pid: Pid,
    maps: Vec<Map>,
}

/// A line of /proc/PID/maps (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Map {
    start: u64,
    end: u64,
    is_readable: bool,
    /// Memory of the machine: it is a file, and shared. The rest is what the process was forked from.
    is_machines: bool,
}

impl Inside {
    /// Looks at a process; `None` if it has gone or cannot be looked at.
    pub fn of(pid: Pid) -> Option<Self> {
        let maps = parse_maps(&fs::read_to_string(format!("/proc/{pid}/maps")).ok()?);
        (!maps.is_empty()).then_some(Self { pid, maps })
    }

    /// The name that its program was started by, without the folder.
    pub fn program(&self) -> Option<String> {
        let memory = File::open(format!("/proc/{}/mem", self.pid)).ok()?;
        // The stack is the highest mapping below the vdso's page, which UML puts at the very end.
        let candidates = self.maps.iter().rev().filter(|map| map.is_readable && map.is_machines);
        candidates.map(|map| map.end).find_map(|end| {
            let mut page = [0; PAGE_BYTES as usize];
            memory.read_exact_at(&mut page, end - PAGE_BYTES).ok()?;
            last_name(&page)
        })
    }

    /// Whether its last system call, or what it does now, was made from the vdso: clock_gettime, gettimeofday, time.
    pub fn is_in_vdso(&self) -> Option<bool> {
        let vdso = self.vdso()?;
        let text = fs::read_to_string(format!("/proc/{}/syscall", self.pid)).ok()?;
        let is_inside = |address: u64| (vdso..vdso + PAGE_BYTES).contains(&address);
        let pc =
            text.split_whitespace().last().and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
        if pc.is_some_and(is_inside) {
            return Some(true);
        }
        // Under seccomp the program's registers lie on the page that the kernel shares with it.
        let memory = File::open(format!("/proc/{}/mem", self.pid)).ok()?;
        let shared = self.maps.iter().rev().find(|map| map.is_machines && map.start > vdso + PAGE_BYTES)?;
        let mut bytes = vec![0; usize::try_from(shared.end - shared.start).ok()?.min(1 << 20)];
        memory.read_exact_at(&mut bytes, shared.start).ok()?;
        let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        Some(words.into_iter().any(is_inside))
    }

    /// The page at the end of the programs' address space (`um_vdso_addr` in arch/x86/um/vdso/vma.c): half of what the
    /// host gives a process, or all of it but the pages that the kernel shares with it.
    fn vdso(&self) -> Option<u64> {
        let programs = self.maps.iter().filter(|map| map.is_machines && map.end - map.start == PAGE_BYTES);
        programs.map(|map| map.start).filter(|start| (start + PAGE_BYTES).is_multiple_of(1 << 30)).max()
    }
}

fn parse_maps(text: &str) -> Vec<Map> {
    let map = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let access = fields.next()?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let inode = fields.nth(2)?;
        Some(Map {
            start: hex(start)?,
            end: hex(end)?,
            is_readable: access.starts_with('r'),
            is_machines: access.ends_with('s') && inode != "0",
        })
    };
    text.lines().filter_map(map).collect()
}

/// The last text before the eight zero bytes that end a stack.
fn last_name(page: &[u8]) -> Option<String> {
    let rest = page.strip_suffix(&[0; 8])?;
    let rest = rest.strip_suffix(&[0]).unwrap_or(rest);
    let start = rest.iter().rposition(|byte| *byte == 0)? + 1;
    let name = std::str::from_utf8(&rest[start..]).ok()?;
    let is_a_name = !name.is_empty() && name.chars().all(|c| !c.is_control());
    is_a_name.then(|| name.rsplit('/').next().unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_at_the_end_of_a_stack_is_found_without_its_folder() {
        let page = [b"\0HOME=/\0/usr/bin/curl\0".as_slice(), &[0; 8]].concat();
        assert_eq!(last_name(&page).as_deref(), Some("curl"));
    }

    #[test]
    fn a_page_that_is_no_stack_has_no_name() {
        assert_eq!(last_name(&[0; 64]), None);
        assert_eq!(last_name(&[7; 64]), None);
    }

    #[test]
    fn the_vdso_is_the_page_at_the_end_of_the_programs_part() {
        let text = "\
00400000-00402000 r-xs 007be000 00:1b 28    /dev/shm/#28 (deleted)
7f7fffffc000-7f7fffffd000 rwxs 07c67000 00:1b 28    /dev/shm/#28 (deleted)
7f7ffffff000-7f8000000000 r-xs 008fe000 00:1b 28    /dev/shm/#28 (deleted)
7fffffffd000-7ffffffff000 rw-s 00b04000 00:1b 28    /dev/shm/#28 (deleted)
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0    [vsyscall]
";
        let inside = Inside { pid: Pid::from_raw(1), maps: parse_maps(text) };
        assert_eq!(inside.vdso(), Some(0x7f7f_ffff_f000));
    }
}
