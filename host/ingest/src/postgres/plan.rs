//! What will be read: the columns with their types, and the statements that read them.
//!
//! A plan is made inside the snapshot, with the table locked against being rewritten. What the catalogue cannot
//! say is asked of the table itself: how deep arrays go, and where they begin, since the server holds nobody to
//! what was declared.

use std::{collections::HashSet, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::{IngestError, Position, TableRead, TypeMode, ValuePolicy, dataset::SOURCE_TYPE};

use super::{
    failure::Failure,
    kind::Kind,
    parts,
    session::{Session, get},
    source::{Source, quoted},
    text::Form,
    types::{Typed, Types, XML},
    window::Stretch,
};

/// Field metadata: the labels of an enum in their order, as a JSON array.
const ENUM_LABELS: &str = "boathouse.enum_labels";

/// Field metadata: where arrays begin that do not begin at 1.
const ARRAY_BOUNDS: &str = "boathouse.array_bounds";

/// All that reading takes.
pub(super) struct Plan {
    /// The columns as they will be.
    pub(super) schema: SchemaRef,
    /// How each is read.
    pub(super) columns: Vec<Planned>,
    /// One statement a part, at least one.
    pub(super) parts: Vec<String>,
    /// About how many rows there are.
    pub(super) estimated_rows: Option<u64>,
    /// The last row of the window, if one was asked for and there is a row.
    pub(super) position: Option<Position>,
    /// What a reader of the rows should know.
    pub(super) notes: Vec<String>,
}

/// A column as it is read.
pub(super) struct Planned {
    /// Its name.
    pub(super) name: String,
    /// How its values come.
    pub(super) kind: Kind,
    /// The server's name of its type.
    pub(super) source_type: String,
}

/// A column as it is at the source.
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// What it is called inside a statement.
    pub(super) sql: String,
    /// Its type.
    pub(super) typed: Typed,
    /// Whether it is declared to hold no nulls.
    pub(super) not_null: bool,
    /// The server's name of its type.
    pub(super) source_type: String,
}

/// How a column stands in the select list.
enum Cast {
    None,
    Text,
    TextArray,
}

const TABLE_COLUMNS: &str = "
    SELECT a.attname::text, a.atttypid, a.atttypmod, a.attndims::int4, a.attnotnull,
        pg_catalog.format_type(a.atttypid, a.atttypmod)
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Names of types, and the declared dimensions of columns that come straight from a table.
const QUERY_COLUMNS: &str = "
    SELECT pg_catalog.format_type(c.type, c.modifier), coalesce(a.attndims::int4, 0)
    FROM unnest($1::oid[], $2::int4[], $3::oid[], $4::int2[])
        WITH ORDINALITY AS c(type, modifier, relation, number, place)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.relation AND a.attnum = c.number
    ORDER BY c.place";

impl Plan {
    /// Finds out what there is to read.
    pub(super) async fn make(
        session: &mut Session,
        source: &Source,
        read: &TableRead,
    ) -> Result<Self, IngestError> {
        let columns = match source {
            Source::Table { name, .. } => table_columns(session, name).await,
            Source::Query(query) => query_columns(session, query).await,
        }?;
        let from = source.in_from(columns.len());
        if let Source::Query(_) = source {
            check_query(session, &from).await?;
        }
        check_names(&columns)?;
        let oids: Vec<u32> = columns.iter().map(|column| column.typed.oid).collect();
        let types = Types::load(session, &oids)
            .await
            .map_err(Failure::at_work)?;
        let stretch = match &read.window {
            Some(window) => Stretch::find(session, source, &from, &columns, window).await?,
            None => Stretch::all(),
        };
        let bounds = match source {
            Source::Table { kind, .. } if matches!(kind.as_str(), "r" | "p" | "m") => {
                array_bounds(session, &from, &columns, &types, &stretch.conditions).await?
            }
            _ => vec![None; columns.len()],
        };
        let mut notes = stretch.notes.clone();
        notes.extend(
            types
                .money_scale()
                .filter(|scale| *scale != 2)
                .map(|scale| {
                    format!("`money` has {scale} digits after the point in the server's locale")
                }),
        );
        let (mut fields, mut planned, mut list) = (Vec::new(), Vec::new(), Vec::new());
        for (column, bounds) in columns.iter().zip(bounds) {
            let (kind, cast) = kind_of(column, &types, read.types, bounds);
            fields.push(field_of(column, &kind, &types, read, bounds));
            list.push(cast.around(&column.sql));
            planned.push(Planned {
                name: column.name.clone(),
                kind,
                source_type: column.source_type.clone(),
            });
        }
        let select = format!("SELECT {} FROM {from}", list.join(", "));
        let layout = parts::layout(session, source, &stretch).await;
        let layout = layout.map_err(Failure::at_work)?;
        notes.extend(layout.note);
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            columns: planned,
            parts: parts::statements(&select, &stretch.conditions, &layout.ranges),
            estimated_rows: layout.estimated_rows,
            position: stretch.position,
            notes,
        })
    }

    /// Names of the columns that a condition holds for, for a message.
    pub(super) fn names(&self, is_meant: impl Fn(&Kind) -> bool) -> String {
        let meant = self.columns.iter().filter(|column| is_meant(&column.kind));
        let names: Vec<&str> = meant.map(|column| column.name.as_str()).take(5).collect();
        match names.is_empty() {
            true => "*".to_owned(),
            false => names.join("` or `"),
        }
    }
}

async fn table_columns(session: &mut Session, name: &str) -> Result<Vec<Column>, IngestError> {
    let rows = session.query(TABLE_COLUMNS, &[&name]).await;
    let rows = rows.map_err(Failure::at_work)?;
    let column = |row| {
        let name: String = get(row, 0)?;
        Ok(Column {
            sql: format!("q.{}", quoted(&name)),
            name,
            typed: Typed {
                oid: get(row, 1)?,
                modifier: get(row, 2)?,
                depth: get(row, 3)?,
            },
            not_null: get(row, 4)?,
            source_type: get(row, 5)?,
        })
    };
    let columns: Result<Vec<_>, Failure> = rows.iter().map(column).collect();
    columns.map_err(Failure::at_work)
}

/// What the server says of several statements is about how they were sent.
fn one_select(failure: Failure) -> IngestError {
    match failure.at_work() {
        IngestError::BadQuery { reason } if reason.contains("multiple commands") => {
            IngestError::BadQuery {
                reason: "it is more than one statement; give one SELECT".to_owned(),
            }
        }
        other => other,
    }
}

async fn query_columns(session: &mut Session, query: &str) -> Result<Vec<Column>, IngestError> {
    let statement = session.prepare(query).await.map_err(one_select)?;
    if !statement.params().is_empty() {
        return Err(IngestError::BadQuery {
            reason: "it has parameters such as `$1`, for which there are no values".to_owned(),
        });
    }
    let columns = statement.columns();
    let types: Vec<u32> = columns.iter().map(|column| column.type_().oid()).collect();
    let modifiers: Vec<i32> = columns
        .iter()
        .map(tokio_postgres::Column::type_modifier)
        .collect();
    let relations: Vec<u32> = columns
        .iter()
        .map(|column| column.table_oid().unwrap_or(0))
        .collect();
    let numbers: Vec<i16> = columns
        .iter()
        .map(|column| column.column_id().unwrap_or(0))
        .collect();
    let said = session
        .query(QUERY_COLUMNS, &[&types, &modifiers, &relations, &numbers])
        .await
        .map_err(Failure::at_work)?;
    let found = columns
        .iter()
        .zip(&said)
        .enumerate()
        .map(|(at, (column, said))| {
            Ok(Column {
                name: column.name().to_owned(),
                sql: format!("q.c{}", at + 1),
                typed: Typed {
                    oid: types[at],
                    modifier: modifiers[at],
                    depth: get(said, 1)?,
                },
                // A column that is declared so may still be null beyond an outer join.
                not_null: false,
                source_type: get(said, 0)?,
            })
        });
    let found: Result<Vec<_>, Failure> = found.collect();
    found.map_err(Failure::at_work)
}

fn check_names(columns: &[Column]) -> Result<(), IngestError> {
    let problem = match columns {
        [] => Some("there are none; name a table or query that has columns".to_owned()),
        _ => {
            let mut seen = HashSet::new();
            let twice = columns.iter().find(|column| !seen.insert(&column.name));
            twice.map(|column| {
                format!(
                    "two are called `{}`; give them names with `AS` in a query",
                    column.name
                )
            })
        }
    };
    match problem {
        Some(problem) => Err(IngestError::Columns { problem }),
        None => Ok(()),
    }
}

/// Has the server look at a query as it will be read, rights included, without running it.
async fn check_query(session: &mut Session, from: &str) -> Result<(), IngestError> {
    let looked = session
        .execute(&format!("SELECT FROM {from} LIMIT 0"))
        .await;
    looked.map_err(|failure| match failure.at_work() {
        IngestError::BadQuery { reason } => IngestError::BadQuery {
            reason: format!("it must be one SELECT that only reads: {reason}"),
        },
        other => other,
    })
}

/// How deep an array goes, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    depth: i32,
    lowest: i32,
    highest: i32,
}

async fn array_bounds(
    session: &mut Session,
    from: &str,
    columns: &[Column],
    types: &Types,
    conditions: &str,
) -> Result<Vec<Option<Bounds>>, IngestError> {
    let arrays: Vec<usize> = (0..columns.len())
        .filter(|at| types.is_array(columns[*at].typed))
        .collect();
    let mut bounds = vec![None; columns.len()];
    for some in arrays.chunks(300) {
        let list: Vec<String> = some
            .iter()
            .map(|at| &columns[*at].sql)
            .map(|sql| {
                format!("max(array_ndims({sql})), min(array_lower({sql}, 1)), max(array_lower({sql}, 1))")
            })
            .collect();
        let sql = format!(
            "SELECT {} FROM {from}{}",
            list.join(", "),
            parts::filter(&[conditions])
        );
        let row = session
            .query_one(&sql, &[])
            .await
            .map_err(Failure::at_work)?;
        for (place, at) in some.iter().enumerate() {
            let cell = |offset| get::<Option<i32>>(&row, 3 * place + offset);
            let found = (|| Ok((cell(0)?, cell(1)?, cell(2)?)))().map_err(Failure::at_work)?;
            if let (Some(depth), Some(lowest), Some(highest)) = found {
                bounds[*at] = Some(Bounds {
                    depth,
                    lowest,
                    highest,
                });
            }
        }
    }
    Ok(bounds)
}

/// How a column is read, and as what.
fn kind_of(column: &Column, types: &Types, mode: TypeMode, bounds: Option<Bounds>) -> (Kind, Cast) {
    let text = Kind::Text(Form::Plain);
    let base = types.base(column.typed);
    let typed = Typed {
        depth: bounds.map_or(base.depth, |bounds| bounds.depth),
        ..base
    };
    let exact = types.kind(typed);
    match (mode, exact) {
        // The binary form of XML is not in all cases the text that is stored.
        _ if base.oid == XML => (text, Cast::Text),
        (TypeMode::Exact, Some(kind)) => (kind, Cast::None),
        (TypeMode::Exact, None) if types.is_array(base) => {
            let depth = usize::try_from(typed.depth).unwrap_or(0).max(1);
            let item = Box::new(text);
            (Kind::List { item, depth }, Cast::TextArray)
        }
        (TypeMode::Portable, Some(kind)) => match kind.portable() {
            Some(kind) => (kind, Cast::None),
            None => (text, Cast::Text),
        },
        (_, None) => (text, Cast::Text),
    }
}

impl Cast {
    fn around(&self, sql: &str) -> String {
        match self {
            Self::None => sql.to_owned(),
            Self::Text => format!("({sql})::text"),
            Self::TextArray => format!("({sql})::text[]"),
        }
    }
}

fn field_of(
    column: &Column,
    kind: &Kind,
    types: &Types,
    read: &TableRead,
    bounds: Option<Bounds>,
) -> Field {
    let mut metadata = match read.types {
        TypeMode::Exact => kind.metadata(),
        TypeMode::Portable => std::collections::HashMap::new(),
    };
    metadata.insert(SOURCE_TYPE.to_owned(), column.source_type.clone());
    if let Some(labels) = types.labels(column.typed) {
        let labels = serde_json::Value::from(labels).to_string();
        metadata.insert(ENUM_LABELS.to_owned(), labels);
    }
    if let Some(bounds) = bounds.filter(|bounds| (bounds.lowest, bounds.highest) != (1, 1)) {
        let said = match bounds.lowest == bounds.highest {
            true => format!("from {}", bounds.lowest),
            false => format!("from {} to {}", bounds.lowest, bounds.highest),
        };
        metadata.insert(ARRAY_BOUNDS.to_owned(), said);
    }
    let becomes_null = read.out_of_range == ValuePolicy::Null && kind.lacks_values();
    Field::new(
        &column.name,
        kind.data_type(),
        !column.not_null || becomes_null,
    )
    .with_metadata(metadata)
}
