//! What this process may use: file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one and returns it. A process that serves connections wants all
/// that it may have; the default soft limit of 1,024 is for programs that use `select`.
pub fn raise_descriptors() -> u64 {
    raise_descriptors_to(u64::MAX)
}

/// The same, but to no more than `most`: for a process whose limit others inherit, some of which close every number
/// below it when they start. It is never lowered.
pub fn raise_descriptors_to(most: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(most, |hard| hard.min(most)).max(now.current.unwrap_or(u64::MAX));
    let wanted = Rlimit { current: Some(wanted).filter(|wanted| *wanted < u64::MAX), maximum: now.maximum };
    let _ = setrlimit(Resource::Nofile, wanted);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether an operating system's error says that this process or the machine has no descriptors left.
pub fn is_out_of_descriptors(code: i32) -> bool {
    code == rustix::io::Errno::MFILE.raw_os_error() || code == rustix::io::Errno::NFILE.raw_os_error()
}

/// How many file descriptors this process has open; none where the system does not tell.
pub fn open_descriptors() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    // The listing itself holds one while it is read.
    Some((entries.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_counted() {
        assert!(raise_descriptors() > 0);
        // Other tests of this process open files too, but not hundreds.
        let files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").expect("it opens")).collect();
        assert!(open_descriptors().expect("this system has /proc") >= 300);
        drop(files);
        assert!(open_descriptors().expect("this system has /proc") < 300);
    }
}
