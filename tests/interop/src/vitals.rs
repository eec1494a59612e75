use std::fmt;
use std::fs;

/// What a process holds on to, as `/proc` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// Resident memory.
    pub rss_kib: u64,
    /// Open file descriptors.
    pub fds: u64,
}

impl Vitals {
    /// Of the process with this id.
    ///
    /// # Errors
    ///
    /// Where there is no `/proc`, or no such process.
    pub fn of(pid: u32) -> Result<Self, String> {
        let proc = format!("/proc/{pid}");
        let status = fs::read_to_string(format!("{proc}/status"))
            .map_err(|e| format!("read {proc}/status: {e}"))?;
        let rss_kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
            .ok_or_else(|| format!("{proc}/status has no VmRSS"))?;
        let fds = fs::read_dir(format!("{proc}/fd")).map_err(|e| format!("read {proc}/fd: {e}"))?;
        Ok(Self { rss_kib, fds: fds.count() as u64 })
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB resident and {} descriptors", self.rss_kib, self.fds)
    }
}
