//! What a guest can reach: its store's state and the imports that are linked for it.
//!
//! A capability is withheld by not linking it, never by asking inside a host function. Linked are
//! `boathouse:plugin/host` and the parts of WASI that standard libraries cannot start without, the
//! latter over an empty context: no files, no arguments, no environment, sockets refused, and clock
//! and entropy from [`standins`]. There is no `wasi:http` and nothing that could block.

mod log;
mod standins;

use std::sync::Arc;

use wasmtime::{
    Engine, Store,
    component::{HasData, HasSelf, Linker, ResourceTable},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxView, WasiView,
    cli::{WasiCli, WasiCliView as _},
    filesystem::{WasiFilesystem, WasiFilesystemView as _},
    sockets::{WasiSockets, WasiSocketsView as _},
};

pub(crate) use log::GuestLog;
use standins::Entropy;

use crate::{
    Limits,
    bindings::{host, types},
    engine,
    limiter::Limiter,
};

/// The settings that an operator gave a plugin.
pub(crate) type Settings = Arc<[(String, String)]>;

/// State of one store, which serves one call.
pub(crate) struct GuestState {
    /// Made when a guest first asks for it; most never do, and making it costs more than their answer.
    wasi: Option<WasiCtx>,
    table: ResourceTable,
    entropy: Entropy,
    settings: Settings,
    deadline_ms: u32,
    /// Bounds and counts the instance's memory.
    pub(crate) limiter: Limiter,
    /// What the guest says on the side.
    pub(crate) log: GuestLog,
}

/// A store with every limit in place, ready to instantiate into.
///
/// The deadline runs from here, so instantiation counts. (A store's deadline is epoch 0 by default,
/// which would stop the guest at the first tick.)
pub(crate) fn store(
    engine: &Engine,
    limits: &Limits,
    plugin: &str,
    settings: &Settings,
    seed: u64,
) -> Store<GuestState> {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let log = GuestLog::new(plugin, limits.log_bytes);
    let mut table = ResourceTable::new();
    table.set_max_capacity(size(u64::from(limits.resource_handles)));
    let state = GuestState {
        wasi: None,
        table,
        entropy: Entropy::new(seed),
        settings: Arc::clone(settings),
        deadline_ms: limits.deadline_ms,
        limiter: Limiter::new(limits),
        log,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(engine::ticks(limits.deadline()));
    store.epoch_deadline_trap();
    store.set_hostcall_fuel(size(limits.hostcall_bytes));
    store
}

/// The interfaces that [`linker`] defines, without their versions.
pub(crate) const IMPORTS: [&str; 29] = [
    "boathouse:plugin/host",
    "boathouse:plugin/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Everything that a guest can import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<GuestState>> {
    use wasmtime_wasi::p2::bindings::{cli, filesystem, sockets, sync};

    let mut linker = Linker::<GuestState>::new(engine);
    let l = &mut linker;
    host::add_to_linker::<_, HasSelf<GuestState>>(l, |state| state)?;
    standins::add_to_linker(l)?;

    wasmtime_wasi_io_error(l)?;
    sync::io::poll::add_to_linker::<_, Handles>(l, |state| &mut state.table)?;
    sync::io::streams::add_to_linker::<_, Handles>(l, |state| &mut state.table)?;

    cli::environment::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;

    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, GuestState::filesystem)?;
    sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(l, GuestState::filesystem)?;

    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(l, &options, GuestState::sockets)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sync::sockets::tcp::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sync::sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sync::sockets::udp::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    Ok(linker)
}

/// `wasi:io/error`, whose bindings have the same module in both flavours of the others.
fn wasmtime_wasi_io_error(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::bindings::io::error::add_to_linker::<_, Handles>(linker, |state| {
        &mut state.table
    })
}

/// Interfaces whose only state is the table of handles.
struct Handles;

impl HasData for Handles {
    type Data<'a> = &'a mut ResourceTable;
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let log = &self.log;
        let ctx = self.wasi.get_or_insert_with(|| {
            WasiCtx::builder()
                .stdout(log.clone())
                .stderr(log.clone())
                .build()
        });
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

impl host::Host for GuestState {
    fn log(&mut self, level: host::Level, message: String) {
        self.log.line(level, &message);
    }

    fn settings(&mut self) -> Vec<(String, String)> {
        self.settings.to_vec()
    }

    fn deadline_ms(&mut self) -> u32 {
        self.deadline_ms
    }
}

impl types::Host for GuestState {}
