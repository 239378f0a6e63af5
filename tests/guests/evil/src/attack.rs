//! Attacks that need nothing but a call, whatever the question.
//!
//! They are of two sorts. Some take: time, memory, stack, the log; the host has to end those. Others
//! only look: for files, sockets, the environment, the time, chance. Those end by themselves and report
//! what they got, which the kind's answer carries out to the test.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use boathouse_sdk::{Level, host};

/// Obeys an order that any kind can obey; what it tells is what a look came to.
pub(crate) fn carry_out(order: &str) -> Option<String> {
    match order {
        "loop" => spin(),
        "trap" => trap(),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "panic" => panic(),
        "recurse" => Some(deeper(0).to_string()),
        "memory" => hoard(),
        "flood" => Some(flood()),
        "file" => Some(files()),
        "socket" => Some(sockets()),
        "environ" => Some(environment()),
        "clock" => Some(clock()),
        "entropy" => Some(entropy()),
        _ => None,
    }
}

/// Never returns.
pub(crate) fn spin() -> ! {
    loop {
        black_box(0);
    }
}

/// Crashes without a word.
pub(crate) fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort();
}

#[expect(unconditional_recursion, reason = "the stack has to end it")]
fn deeper(depth: u64) -> u64 {
    black_box(deeper(black_box(depth) + 1)) + 1
}

/// Panics, in words of its own: those of the standard library change with its version.
fn panic() -> ! {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("last words: {}", panic.payload_as_str().unwrap_or_default());
    }));
    panic!("this plugin has lost its head");
}

/// Takes memory until there is none, then crashes.
fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        let mut block: Vec<u8> = Vec::new();
        if block.try_reserve_exact(1 << 20).is_err() {
            trap();
        }
        block.resize(1 << 20, 1);
        hoard.push(block);
        black_box(&hoard);
    }
}

/// Says far more than anybody wants to keep, in all three ways that there are.
fn flood() -> String {
    let line = "lorem ipsum dolor sit amet ".repeat(40);
    for _ in 0..5_000 {
        host::log(Level::Info, &line);
        // A stream that is full would be no reason to stop.
        let _ = writeln!(io::stdout(), "{line}");
        let _ = writeln!(io::stderr(), "{line}");
    }
    "15000 lines said".to_owned()
}

fn files() -> String {
    let read = outcome(fs::read("/etc/passwd"));
    let write = outcome(fs::write("evil.txt", "evil"));
    let list = outcome(fs::read_dir("/"));
    let make = outcome(fs::create_dir("/tmp/evil"));
    format!("reading {read}, writing {write}, listing {list}, making a folder {make}")
}

fn sockets() -> String {
    let connect = outcome(TcpStream::connect("127.0.0.1:80"));
    let listen = outcome(TcpListener::bind("127.0.0.1:0"));
    let send = outcome(
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"evil", "127.0.0.1:53")),
    );
    let resolve = outcome("localhost:80".to_socket_addrs());
    format!("connecting {connect}, listening {listen}, sending {send}, resolving {resolve}")
}

fn outcome<T>(tried: io::Result<T>) -> &'static str {
    match tried {
        Ok(_) => "granted",
        Err(_) => "refused",
    }
}

fn environment() -> String {
    let variables = std::env::vars_os().count();
    let arguments = std::env::args_os().count();
    let mut input = Vec::new();
    let read = io::stdin().read_to_end(&mut input).unwrap_or(0);
    format!("{variables} variables, {arguments} arguments, {read} bytes of input")
}

#[expect(
    clippy::disallowed_methods,
    reason = "reading the clock and waiting are the attack"
)]
fn clock() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let started = Instant::now();
    std::thread::sleep(Duration::from_secs(3_600));
    let (now, nap, limit) = (now.unwrap_or_default(), started.elapsed(), host::deadline());
    format!("{now:?} since 1970, an hour's nap took {nap:?} of the {limit:?} that a call may take")
}

fn entropy() -> String {
    format!("{:016x}", RandomState::new().hash_one("chance"))
}
