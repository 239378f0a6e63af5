//! The machine that a trial ran on, in words: latencies of two machines do not compare.

use std::{fs, thread};

/// Processor model (its architecture where the system does not tell) and number of cores, for example
/// `AMD EPYC 7B13 x2`.
#[must_use]
pub fn host_fingerprint() -> String {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let model = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| model_name(&text))
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{model} x{cores}")
}

fn model_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    let name = line.split_once(':')?.1.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_where_there_is_one() {
        let text = "processor\t: 0\nmodel name\t: Fine CPU 9000\nflags\t: fpu\n";
        assert_eq!(model_name(text).as_deref(), Some("Fine CPU 9000"));
        assert_eq!(model_name("processor : 0"), None);
        assert!(host_fingerprint().contains(" x"));
    }
}
