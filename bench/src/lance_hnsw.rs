//! Which engine when: our HNSW graph beside a Lance table with `IVF_PQ`, over the same vectors, at equal recall.
//!
//! Both are ours and in this process's services, without a host: what building costs, what each holds in memory and on the
//! disk, what a search takes at a recall@10 of 0.90, 0.95 and 0.99, and what a hundred rows more cost. The graph is walked
//! with the least `ef` of a ladder that reaches the recall; of the table's ladders of partitions and refine factors the pair
//! that reaches it soonest. There is no bar: neither is the better one for everybody.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use boathouse_types::Dimension;
use boathouse_vector::table::VectorTable;
use serde_json::{Value, json};

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round, rounds},
    data::{self, Collection, Split, Truth},
    lance::{APPENDED, Plan, Side as _, Tables, write_parquet, written},
    ours::{
        lance,
        open::{self, Stored},
    },
    p1::{EF_CONSTRUCTION, K, LADDER, M, TARGETS},
    process::{self, Process},
};

/// Partitions that are searched, and candidates for each hit that are compared exactly.
const NPROBES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const REFINE_FACTORS: [u32; 4] = [1, 4, 10, 30];
/// Queries of a step.
const MOST: usize = 500;
/// Appends that are timed.
const APPENDS: usize = 9;

pub(crate) fn run(options: Options) -> Result<()> {
    for collection in [Collection::Texts, Collection::Mixture] {
        if options.data.is_none_or(|only| only == collection) {
            let rows = options.rows(100_000, 5_000);
            compare(options, collection, &collection.split(rows, options.quick)?)?;
        }
    }
    Ok(())
}

fn compare(options: Options, collection: Collection, split: &Split) -> Result<()> {
    let threads = std::thread::available_parallelism()?.get();
    let truth = split.truth(K, threads)?.first(MOST);
    let folder = process::emptied("lance-hnsw")?;
    let source = folder.join("vectors.parquet");
    write_parquet(split, &source)?;
    let parquet_bytes = fs::metadata(&source)?.len();
    let mut graph = Graph::build(split, &folder, threads)?;
    let mut table = Table::build(split, source, &folder, threads)?;
    let curves = (graph.curve(&truth)?, table.curve(&truth)?);
    for target in TARGETS {
        let step = curves.0.iter().find(|step| step.recall >= target);
        let pairs = curves.1.iter().filter(|step| step.recall >= target);
        let pair = pairs.min_by(|a, b| a.p50_us.total_cmp(&b.p50_us));
        let (Some(step), Some(pair)) = (step, pair) else {
            eprintln!("lance-hnsw: recall {target} is out of reach of one of both");
            continue;
        };
        let timed = rounds(
            options.rounds(),
            || Ok(graph.search(step.setting)?.p50_us),
            || Ok(table.search(pair.setting)?.p50_us),
        )?;
        let mut measured = Comparison::default();
        for (our, their) in timed {
            measured.push(our, their);
        }
        let detail = json!({ "ef": step.setting, "nprobes": pair.setting.0, "refine_factor": pair.setting.1,
            "recall": [round(step.recall), round(pair.recall)] });
        let work = format!("search, p50, recall@10 {target:.2}");
        print(collection, split, &work, "us", &measured, detail);
    }
    costs(
        collection,
        split,
        (&graph, &mut table),
        (parquet_bytes, &folder),
    )?;
    drop((graph, table));
    fs::remove_dir_all(&folder).context("the folder of lance-hnsw")
}

/// Rows of what both cost.
fn costs(
    collection: Collection,
    split: &Split,
    (graph, table): (&Graph<'_>, &mut Table),
    (parquet_bytes, folder): (u64, &Path),
) -> Result<()> {
    let one = |ours: f64, theirs: f64| {
        let mut measured = Comparison::default();
        measured.push(ours, theirs);
        measured
    };
    let Plan {
        partitions,
        sub_vectors,
    } = table.plan;
    let seconds = graph.stored.build_seconds.unwrap_or(f64::NAN);
    let built = one(seconds, table.indexed.seconds);
    let detail = json!({ "m": M, "ef_construction": EF_CONSTRUCTION, "partitions": partitions,
        "sub_vectors": sub_vectors, "migration_seconds": round(table.migrated.seconds) });
    print(collection, split, "build", "s", &built, detail);
    let ours = growth(&graph.process, graph.before)?;
    let theirs = growth(&table.tables.process, table.before)?;
    let held = one(ours[1] as f64 / 1e6, theirs[1] as f64 / 1e6);
    let detail = json!({ "private_bytes": [ours[0], theirs[0]] });
    print(
        collection,
        split,
        "memory after searches, mapped files included",
        "MB",
        &held,
        detail,
    );
    let disk = one(
        graph.stored.bytes as f64 / 1e6,
        (table.migrated.bytes + table.indexed.bytes) as f64 / 1e6,
    );
    let detail = json!({ "vectors_in_parquet_bytes": parquet_bytes,
        "table_bytes": table.migrated.bytes, "its_indexes_bytes": table.indexed.bytes });
    print(
        collection,
        split,
        "local files of the graph, files of the table",
        "MB",
        &disk,
        detail,
    );
    appends(collection, split, table, folder)
}

/// A hundred rows more: an object of their vectors in Parquet, which the graph's index needs, and an append to the table.
fn appends(collection: Collection, split: &Split, table: &mut Table, folder: &Path) -> Result<()> {
    let vectors = data::read_vectors(&split.queries, split.dimension as usize)?;
    let mut rows = VectorTable::new(Dimension::new(split.dimension)?);
    for (at, vector) in vectors.iter().take(APPENDED).enumerate() {
        rows.push(format!("new-{at}"), at as u64, vector)?;
    }
    let path = folder.join("appended.parquet");
    let mut number = 0;
    let timed = rounds(
        APPENDS,
        || written(&rows, &path, Instant::now()),
        || {
            number += 1;
            table.tables.append(&format!("new-{number}"))
        },
    )?;
    let mut measured = Comparison::default();
    for (our, their) in &timed {
        measured.push(our.seconds * 1e3, their.seconds * 1e3);
    }
    let bytes = |of: fn(&(lance::Did, lance::Did)) -> u64| {
        let bytes: Vec<f64> = timed.iter().map(|both| of(both) as f64).collect();
        median(&bytes)
    };
    let detail = json!({ "bytes": [bytes(|both| both.0.bytes), bytes(|both| both.1.bytes)] });
    let work = format!("append {APPENDED} rows: an object in Parquet, an append to the table");
    print(collection, split, &work, "ms", &measured, detail);
    Ok(())
}

fn print(
    collection: Collection,
    split: &Split,
    work: &str,
    unit: &str,
    measured: &Comparison,
    detail: Value,
) {
    Row {
        id: "lance-hnsw",
        work: format!("{}, {} rows: {work}", collection.describe(), split.rows),
        peer: "IVF_PQ of lance-host",
        unit,
        measured,
        bar: Bar::None,
        detail,
    }
    .print();
}

/// A step of a curve.
struct Step<T> {
    setting: T,
    recall: f64,
    p50_us: f64,
}

/// Private memory of a process and all of it, in bytes.
fn held(process: &Process) -> Result<[u64; 2]> {
    let of = |field| process::memory(process.pid(), field);
    Ok([of("RssAnon")?, of("VmRSS")?])
}

/// What a process holds more than before.
fn growth(process: &Process, before: [u64; 2]) -> Result<[u64; 2]> {
    let now = held(process)?;
    Ok([
        now[0].saturating_sub(before[0]),
        now[1].saturating_sub(before[1]),
    ])
}

/// Our graph, built by one process and opened by another.
struct Graph<'a> {
    process: Process,
    split: &'a Split,
    path: PathBuf,
    stored: Stored,
    before: [u64; 2],
}

impl<'a> Graph<'a> {
    fn build(split: &'a Split, folder: &Path, threads: usize) -> Result<Self> {
        let path = folder.join("graph");
        let stored = Process::ours("open")?.ask(&open::Ask::Store {
            base: split.base.clone(),
            rows: split.rows,
            dimension: split.dimension,
            m: M,
            ef_construction: EF_CONSTRUCTION,
            threads,
            path: path.clone(),
        })?;
        let process = Process::ours("open")?;
        let before = held(&process)?;
        Ok(Self {
            process,
            split,
            path,
            stored,
            before,
        })
    }

    fn search(&mut self, ef: usize) -> Result<lance::Searched> {
        self.process.ask(&open::Ask::Each {
            path: self.path.clone(),
            queries: self.split.queries.clone(),
            most: MOST,
            rows: self.split.rows,
            dimension: self.split.dimension,
            k: K,
            ef,
        })
    }

    fn curve(&mut self, truth: &Truth) -> Result<Vec<Step<usize>>> {
        let mut curve = Vec::new();
        for ef in LADDER {
            let found = self.search(ef)?;
            let recall = truth.recall(&found.answers)?;
            curve.push(Step {
                setting: ef,
                recall,
                p50_us: found.p50_us,
            });
            if TARGETS.iter().all(|&target| recall >= target) {
                break;
            }
        }
        Ok(curve)
    }
}

/// A Lance table, made by one process and opened by another.
struct Table {
    tables: Tables,
    plan: Plan,
    migrated: lance::Did,
    indexed: lance::Did,
    before: [u64; 2],
}

impl Table {
    fn build(split: &Split, source: PathBuf, folder: &Path, threads: usize) -> Result<Self> {
        let mut tables = Tables {
            process: Process::ours_on("lance", threads)?,
            sources: vec![source],
            folder: folder.join("table"),
            dimension: split.dimension,
            queries: split.queries.clone(),
        };
        let plan = Plan::of(split);
        let migrated = tables.migrate()?;
        let indexed = tables.index(plan)?;
        tables.process = Process::ours_on("lance", threads)?;
        let before = held(&tables.process)?;
        let opened: lance::Opened = tables.process.ask(&lance::Ask::Open {
            folder: tables.folder.clone(),
            dimension: split.dimension,
        })?;
        ensure!(opened.rows == split.rows as u64, "{opened:?}");
        Ok(Self {
            tables,
            plan,
            migrated,
            indexed,
            before,
        })
    }

    fn search(&mut self, (nprobes, refine_factor): (usize, u32)) -> Result<lance::Searched> {
        self.tables.process.ask(&lance::Ask::Search {
            queries: self.tables.queries.clone(),
            most: MOST,
            k: K,
            nprobes,
            refine_factor,
        })
    }

    fn curve(&mut self, truth: &Truth) -> Result<Vec<Step<(usize, u32)>>> {
        let mut curve = Vec::new();
        let most = TARGETS.iter().copied().fold(0.0, f64::max);
        for refine_factor in REFINE_FACTORS {
            for nprobes in NPROBES {
                let setting = (nprobes, refine_factor);
                let found = self.search(setting)?;
                let recall = truth.recall(&found.answers)?;
                curve.push(Step {
                    setting,
                    recall,
                    p50_us: found.p50_us,
                });
                if recall >= most || nprobes >= self.plan.partitions {
                    break;
                }
            }
        }
        Ok(curve)
    }
}
