//! Rows as Lance has them, and back.
//!
//! ```text
//! doc_id  Utf8                            name of the document
//! row     UInt64                          row of the dataset that the text came from
//! start   UInt32, null                    first character of the piece of the text; null: a whole text
//! end     UInt32, null                    the character behind its last one
//! vector  FixedSizeList<Float32>[dimension]
//! ```
//! The schema's metadata says the format's number and the metric. Other columns and other metadata are passed over; a
//! newer format is refused by number.

use std::{collections::HashMap, sync::Arc};

use lance::deps::{
    arrow_array::{
        Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray, UInt32Array,
        UInt64Array,
    },
    arrow_schema::{DataType, Field, Schema},
};

use crate::{
    Error,
    error::Cause,
    rows::{Document, Hit, LARGEST_DIMENSION, Metric, Rows, Shape, Span},
};

pub(crate) const DOC_ID: &str = "doc_id";
pub(crate) const ROW: &str = "row";
pub(crate) const START: &str = "start";
pub(crate) const END: &str = "end";
pub(crate) const VECTOR: &str = "vector";
/// The column that Lance adds to the answer of a search.
pub(crate) const DISTANCE: &str = "_distance";

const FORMAT_KEY: &str = "boathouse.format";
const METRIC_KEY: &str = "boathouse.metric";

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn width(dimension: usize) -> Result<i32, Error> {
    i32::try_from(dimension).map_err(|_| Error::Invalid("too many components".to_owned()))
}

/// The schema of a new table.
pub(crate) fn schema(shape: Shape) -> Result<Arc<Schema>, Error> {
    let vector = DataType::FixedSizeList(item(), width(shape.dimension)?);
    let fields = vec![
        Field::new(DOC_ID, DataType::Utf8, false),
        Field::new(ROW, DataType::UInt64, false),
        Field::new(START, DataType::UInt32, true),
        Field::new(END, DataType::UInt32, true),
        Field::new(VECTOR, vector, false),
    ];
    let metadata = HashMap::from([
        (FORMAT_KEY.to_owned(), FORMAT.to_string()),
        (METRIC_KEY.to_owned(), shape.metric.name().to_owned()),
    ]);
    Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
}

/// The shape of a table by its schema.
pub(crate) fn shape(schema: &Schema) -> Result<Shape, Error> {
    let foreign = |reason: String| Error::ForeignTable { reason };
    let format = schema
        .metadata
        .get(FORMAT_KEY)
        .and_then(|format| format.parse::<u32>().ok())
        .ok_or_else(|| foreign("it does not say its format".to_owned()))?;
    if format > FORMAT {
        return Err(foreign(format!(
            "it has format {format}, and this release reads up to {FORMAT}"
        )));
    }
    let metric = schema.metadata.get(METRIC_KEY).map_or("", String::as_str);
    let metric = Metric::named(metric)?;
    let of = |name: &str| schema.field_with_name(name).map(Field::data_type);
    for (name, wanted) in [
        (DOC_ID, DataType::Utf8),
        (ROW, DataType::UInt64),
        (START, DataType::UInt32),
        (END, DataType::UInt32),
    ] {
        if of(name).ok() != Some(&wanted) {
            return Err(foreign(format!("its column `{name}` is not {wanted}")));
        }
    }
    let dimension = match of(VECTOR) {
        Ok(DataType::FixedSizeList(item, width)) if item.data_type() == &DataType::Float32 => {
            usize::try_from(*width).unwrap_or_default()
        }
        _ => 0,
    };
    if dimension == 0 || dimension > LARGEST_DIMENSION {
        return Err(foreign(format!("its column `{VECTOR}` has no vectors")));
    }
    Ok(Shape { dimension, metric })
}

/// Rows for Lance. They are of this shape, as [`Rows::check`] has seen.
pub(crate) fn batch(rows: Rows, shape: Shape) -> Result<RecordBatch, Error> {
    let starts = rows.spans.iter().map(|span| span.map(|(start, _)| start));
    let ends = rows.spans.iter().map(|span| span.map(|(_, end)| end));
    let starts: UInt32Array = starts.collect();
    let ends: UInt32Array = ends.collect();
    let vectors = FixedSizeListArray::try_new(
        item(),
        width(shape.dimension)?,
        Arc::new(Float32Array::from(rows.vectors)),
        None,
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.doc_ids)),
        Arc::new(UInt64Array::from(rows.rows)),
        Arc::new(starts),
        Arc::new(ends),
        Arc::new(vectors.map_err(odd)?),
    ];
    RecordBatch::try_new(schema(shape)?, columns).map_err(odd)
}

fn odd(error: impl std::fmt::Display) -> Error {
    Error::Failed(Cause::of(&error.to_string()))
}

/// A column of an answer.
fn column<'a, T: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T, Error> {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref::<T>())
        .ok_or_else(|| Error::Damaged(Cause::of(&format!("no column {name} of its type"))))
}

/// The columns without the vectors.
struct Names<'a> {
    doc_ids: &'a StringArray,
    rows: &'a UInt64Array,
    starts: &'a UInt32Array,
    ends: &'a UInt32Array,
}

impl<'a> Names<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, Error> {
        Ok(Self {
            doc_ids: column(batch, DOC_ID)?,
            rows: column(batch, ROW)?,
            starts: column(batch, START)?,
            ends: column(batch, END)?,
        })
    }

    fn span(&self, at: usize) -> Option<Span> {
        let there = self.starts.is_valid(at) && self.ends.is_valid(at);
        there.then(|| (self.starts.value(at), self.ends.value(at)))
    }
}

/// The neighbours in an answer.
pub(crate) fn hits(batch: &RecordBatch) -> Result<Vec<Hit>, Error> {
    let names = Names::of(batch)?;
    let distances: &Float32Array = column(batch, DISTANCE)?;
    let hit = |at| Hit {
        doc_id: names.doc_ids.value(at).to_owned(),
        row: names.rows.value(at),
        span: names.span(at),
        distance: distances.value(at),
    };
    Ok((0..batch.num_rows()).map(hit).collect())
}

/// The rows in an answer, with their vectors.
pub(crate) fn documents(batch: &RecordBatch, dimension: usize) -> Result<Vec<Document>, Error> {
    let names = Names::of(batch)?;
    let vectors = components(batch, dimension)?;
    let document = |(at, vector): (usize, &[f32])| Document {
        doc_id: names.doc_ids.value(at).to_owned(),
        row: names.rows.value(at),
        span: names.span(at),
        vector: vector.to_vec(),
    };
    let vectors = vectors.chunks_exact(dimension).enumerate();
    Ok(vectors.map(document).collect())
}

/// The rows in a batch, as they went in.
pub(crate) fn rows(batch: &RecordBatch, dimension: usize) -> Result<Rows, Error> {
    let names = Names::of(batch)?;
    let all = 0..batch.num_rows();
    Ok(Rows {
        doc_ids: all
            .clone()
            .map(|at| names.doc_ids.value(at).to_owned())
            .collect(),
        rows: names.rows.values().to_vec(),
        spans: all.map(|at| names.span(at)).collect(),
        vectors: components(batch, dimension)?.to_vec(),
    })
}

/// All components of a batch's vectors, one vector behind the other.
fn components(batch: &RecordBatch, dimension: usize) -> Result<&[f32], Error> {
    let lists: &FixedSizeListArray = column(batch, VECTOR)?;
    let floats = lists.values().as_any().downcast_ref::<Float32Array>();
    let floats = floats.map(|floats| &floats.values()[..]);
    let from = lists.value_offset(0);
    let from = usize::try_from(from).unwrap_or_default();
    floats
        .and_then(|floats| floats.get(from..from + batch.num_rows() * dimension))
        .ok_or_else(|| Error::Damaged(Cause::of("vectors of another length")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        dimension: 3,
        metric: Metric::Dot,
    };

    fn sample() -> Rows {
        let mut rows = Rows::default();
        rows.push("a", 4, None, &[1.0, -0.0, 3.5]);
        rows.push("b", 5, Some((0, 12)), &[4.0, 5.0, 6.0]);
        rows.push("b", 5, Some((9, 20)), &[7.0, 8.0, 9.0]);
        rows
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        let there = batch(sample(), SHAPE).expect("a batch");
        assert_eq!(rows(&there, 3).expect("rows"), sample());
        let cut = there.slice(1, 2);
        let mut rest = Rows::default();
        rest.extend(&sample(), 1, 3);
        assert_eq!(rows(&cut, 3).expect("rows"), rest);
        let documents = documents(&cut, 3).expect("documents");
        assert_eq!(documents[1].span, Some((9, 20)));
        assert_eq!(documents[1].vector, [7.0, 8.0, 9.0]);
    }

    #[test]
    fn a_table_tells_its_shape() {
        let schema = schema(SHAPE).expect("a schema");
        assert_eq!(shape(&schema).expect("a shape"), SHAPE);
    }

    #[test]
    fn a_table_of_somebody_else_or_of_a_later_release_is_refused() {
        let ours = schema(SHAPE).expect("a schema");
        let refused = |schema: Schema, said: &str| {
            let Err(Error::ForeignTable { reason }) = shape(&schema) else {
                panic!("{said} was taken");
            };
            assert!(reason.contains(said), "{reason}");
        };
        refused(Schema::new(ours.fields.clone()), "does not say its format");
        let mut later = (*ours).clone();
        later.metadata.insert(FORMAT_KEY.to_owned(), "2".to_owned());
        refused(later, "format 2");
        let mut other = (*ours).clone();
        other
            .metadata
            .insert(METRIC_KEY.to_owned(), "hamming".to_owned());
        refused(other, "hamming");
        let without = ours.fields.iter().filter(|field| field.name() != ROW);
        let without: Vec<_> = without.cloned().collect();
        refused(
            Schema::new_with_metadata(without, ours.metadata.clone()),
            "`row`",
        );
    }
}
