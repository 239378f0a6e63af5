//! The compiler's side of compiling in a process of its own: the body of the hidden command.
//!
//! It bounds itself before it looks at the component, reads order and component from standard input, and
//! writes sealed code to standard output. It opens no file and knows no configuration but the order. When
//! standard input ends early, its host is gone, and it ends too, in the middle of whatever it does.

use std::{
    io::{self, BufRead, Read, Write},
    process::ExitCode,
    thread,
};

use wasmtime::OutOfMemory;

use super::{
    process::{Failure, Order},
    sealed::{self, Purpose},
};
use crate::{digest::Digest, engine, shape::one_line};

/// Longest order.
const ORDER: u64 = 64 << 10;

/// Compiles the component that the host hands over on standard input: the body of the hidden command
/// `compile-plugin`. To be called before anything else is set up.
///
/// Gives success when the code was written, else failure and a line of JSON on standard error.
#[must_use]
pub fn compile_child() -> ExitCode {
    let input = io::stdin();
    let taken = take(&mut input.lock(), bound_memory);
    let outcome = taken.and_then(|(order, component)| {
        end_with_host()?;
        compile(&order, &component)
    });
    let outcome = outcome.and_then(|code| {
        let mut out = io::stdout().lock();
        let written = code.iter().try_for_each(|part| out.write_all(part));
        written.and_then(|()| out.flush()).map_err(hosts)
    });
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    if let Ok(line) = serde_json::to_string(&failure) {
        let _nobody_listens = writeln!(io::stderr(), "{line}");
    }
    ExitCode::FAILURE
}

fn hosts(error: impl std::fmt::Display) -> Failure {
    Failure::Host(format!("the compiler failed: {error}"))
}

/// Reads the order, bounds this process by it, and reads the component.
fn take(
    input: &mut impl BufRead,
    bound: impl FnOnce(u64) -> io::Result<()>,
) -> Result<(Order, Vec<u8>), Failure> {
    let mut line = Vec::new();
    let mut first = Read::take(&mut *input, ORDER);
    first.read_until(b'\n', &mut line).map_err(hosts)?;
    let order: Order = serde_json::from_slice(&line).map_err(hosts)?;
    bound(order.config.compile.memory_bytes).map_err(hosts)?;
    let mut component = Vec::new();
    let mut rest = Read::take(input, order.bytes);
    rest.read_to_end(&mut component).map_err(hosts)?;
    if component.len() as u64 != order.bytes {
        return Err(hosts("the component is cut short"));
    }
    Ok((order, component))
}

/// Header and code for the engine that the order describes.
fn compile(order: &Order, component: &[u8]) -> Result<[Vec<u8>; 2], Failure> {
    let engine = engine::compiler(&order.config, order.allocation).map_err(hosts)?;
    let code = engine.precompile_component(component).map_err(|error| {
        if error.is::<OutOfMemory>() {
            return Failure::Memory;
        }
        Failure::Component(one_line(&error))
    })?;
    let purpose = Purpose {
        compatibility: engine::compatibility(&engine),
        component: Digest::of(component),
    };
    Ok([sealed::header(purpose, &code), code])
}

/// Ends this process as soon as standard input does.
fn end_with_host() -> Result<(), Failure> {
    let wait = || {
        let _ended = io::stdin().read(&mut [0]);
        std::process::exit(1)
    };
    thread::Builder::new()
        .name("host-watch".to_owned())
        .spawn(wait)
        .map(drop)
        .map_err(hosts)
}

/// Bounds the address space of this process to what it has now and so much more, and forbids images of
/// its memory on disk.
#[cfg(target_os = "linux")]
fn bound_memory(more: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let exactly = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    let most = address_space()?.saturating_add(more);
    setrlimit(Resource::As, exactly(most))?;
    setrlimit(Resource::Core, exactly(0))?;
    Ok(())
}

/// Elsewhere the deadline alone bounds it; the host says so when it starts.
#[cfg(not(target_os = "linux"))]
fn bound_memory(_more: u64) -> io::Result<()> {
    Ok(())
}

/// Bytes of address space that this process has.
#[cfg(target_os = "linux")]
fn address_space() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmSize"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Allocation, PluginHostConfig, compile::sealed::Sealed, testing::TestGuest};

    fn order(bytes: usize) -> Order {
        Order {
            config: PluginHostConfig::default(),
            allocation: Allocation::TightPool,
            bytes: bytes as u64,
        }
    }

    fn input(order: &Order, component: &[u8]) -> Vec<u8> {
        let mut input = serde_json::to_vec(order).expect("order");
        input.push(b'\n');
        input.extend(component);
        input
    }

    #[test]
    fn memory_is_bounded_before_the_component_is_read() {
        let input = input(&order(9), b"component and more");
        let mut rest = &input[..];
        let mut bounded = None;
        let taken = take(&mut rest, |bytes| {
            bounded = Some(bytes);
            Ok(())
        });
        let (taken, component) = taken.expect("taken");
        assert_eq!(component, b"component");
        assert_eq!(rest, b" and more");
        assert_eq!(bounded, Some(taken.config.compile.memory_bytes));
    }

    #[test]
    fn what_is_no_order_or_is_cut_short_is_the_hosts_trouble() {
        let short = input(&order(9), b"compo");
        for bytes in [&b""[..], b"\n", b"{}\n", &short] {
            let failure = take(&mut &bytes[..], |_| Ok(())).expect_err("refused");
            assert!(matches!(failure, Failure::Host(_)), "{failure:?}");
        }
    }

    #[test]
    fn a_component_becomes_code_for_the_hosts_engine() {
        let component = TestGuest::default().component();
        for allocation in Allocation::BEST_FIRST {
            let order = Order {
                allocation,
                ..order(component.len())
            };
            let parts = compile(&order, &component).expect("compiles");
            let engine = engine::with(&order.config, allocation).expect("engine");
            let purpose = Purpose {
                compatibility: engine::compatibility(&engine),
                component: Digest::of(&component),
            };
            let sealed = Sealed::open(parts.concat(), purpose).expect("for the host's engine");
            assert!(crate::compile::thaw(&engine, &sealed).is_ok());
        }
    }

    #[test]
    fn what_does_not_compile_is_the_components_fault() {
        let failure = compile(&order(0), b"\0asm\x0d\0\x01\0garbage").expect_err("refused");
        assert!(matches!(failure, Failure::Component(_)), "{failure:?}");
    }
}
