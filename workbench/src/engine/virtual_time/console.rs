//! What a virtual machine's kernel says when it is in trouble. Reads text only.

/// How many of the last lines are worth showing.
const LINES: usize = 12;

/// The kernel's own account of a panic: the line that says so and the last ones before it; `None` if there was none.
pub fn panic(console: &str) -> Option<String> {
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let at = lines.iter().position(|line| line.contains("Kernel panic"))?;
    Some(lines[at.saturating_sub(3)..=at].join("\n"))
}

/// The program that the kernel killed for want of memory (`__oom_kill_process` in mm/oom_kill.c).
pub fn out_of_memory(console: &str) -> Option<String> {
    let line = console.lines().find(|line| line.contains("Out of memory: Killed process"))?;
    let name = line.split_once('(')?.1.split_once(')')?.0;
    Some(name.to_owned())
}

/// Whether the file behind the machine's memory had no room (SIGBUS; arch/um/kernel/trap.c).
pub fn is_without_room(console: &str) -> bool {
    console.contains("mount likely just ran out of space")
}

/// The last lines, for what nothing else explains.
pub fn last_lines(console: &str) -> String {
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_shown_with_what_came_before_it() {
        let text = "a\nb\nc\nd\nKernel panic - not syncing: Attempted to kill init!\nCall Trace:\n";
        assert_eq!(panic(text).as_deref(), Some("b\nc\nd\nKernel panic - not syncing: Attempted to kill init!"));
        assert_eq!(panic("reboot: Power down\n"), None);
    }

    #[test]
    fn the_program_that_was_killed_for_want_of_memory_is_named() {
        let text = "Out of memory: Killed process 31 (python3) total-vm:1kB, anon-rss:2kB, file-rss:0kB\n";
        assert_eq!(out_of_memory(text).as_deref(), Some("python3"));
        assert_eq!(out_of_memory(""), None);
    }
}
