//! What rows in memory take once every value is written out where it stands.
//!
//! Dictionaries, runs and views hold a value once however often it stands there, so a batch of them says little about
//! the plain one that becomes of it.

use arrow::{
    array::{Array, ArrayRef, AsArray as _, GenericListArray, OffsetSizeTrait, RecordBatch},
    datatypes::{
        ArrowNativeType as _, BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType,
        Int16Type, Int32Type, Int64Type, LargeBinaryType, LargeUtf8Type, RunEndIndexType,
        StringViewType, Utf8Type,
    },
};

use super::{BATCH_BYTES, BATCH_ROWS};

/// A value of a dictionary or a run that is neither text nor bytes.
const SHORT_VALUE: u64 = 8;

/// Bytes of all columns, written out. Lists of a view are taken as they lie in memory.
pub(crate) fn bytes_of(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(plain_bytes).sum()
}

/// The rows of a batch, so many at once that they do not take much when they are written out, and one at least.
pub(crate) fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
        let length = BATCH_ROWS.min(batch.num_rows() - start);
        halve(batch.slice(start, length), &mut pieces);
    }
    pieces
}

fn halve(batch: RecordBatch, pieces: &mut Vec<RecordBatch>) {
    let rows = batch.num_rows();
    if rows <= 1 || bytes_of(&batch) <= BATCH_BYTES {
        pieces.push(batch);
        return;
    }
    halve(batch.slice(0, rows / 2), pieces);
    halve(batch.slice(rows / 2, rows - rows / 2), pieces);
}

fn plain_bytes(array: &ArrayRef) -> u64 {
    let rows = || (0..array.len()).filter(|row| array.is_valid(*row));
    match array.data_type() {
        DataType::Utf8 => bytes_of_values::<Utf8Type>(array),
        DataType::LargeUtf8 => bytes_of_values::<LargeUtf8Type>(array),
        DataType::Binary => bytes_of_values::<BinaryType>(array),
        DataType::LargeBinary => bytes_of_values::<LargeBinaryType>(array),
        DataType::Utf8View | DataType::BinaryView => rows().map(length_of(array)).sum(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            if dictionary.values().is_empty() {
                return 0;
            }
            let (keys, length) = (dictionary.normalized_keys(), length_of(dictionary.values()));
            rows().map(|row| length(keys[row])).sum()
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => bytes_of_runs::<Int16Type>(array),
            DataType::Int32 => bytes_of_runs::<Int32Type>(array),
            _ => bytes_of_runs::<Int64Type>(array),
        },
        DataType::List(_) => bytes_of_list(array.as_list::<i32>()),
        DataType::LargeList(_) => bytes_of_list(array.as_list::<i64>()),
        DataType::FixedSizeList(..) => plain_bytes(array.as_fixed_size_list().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(plain_bytes).sum(),
        _ => {
            let known = array.to_data().get_slice_memory_size();
            known.unwrap_or_else(|_| array.get_array_memory_size()) as u64
        }
    }
}

fn bytes_of_values<T: ByteArrayType>(array: &ArrayRef) -> u64 {
    let offsets = array.as_bytes::<T>().value_offsets();
    span(offsets).1 as u64 + size_of_val(offsets) as u64
}

fn bytes_of_runs<E: RunEndIndexType>(array: &ArrayRef) -> u64 {
    let Some(runs) = array.as_run_opt::<E>() else {
        return 0;
    };
    let length = length_of(runs.values());
    (0..runs.len())
        .map(|row| length(runs.get_physical_index(row)))
        .sum()
}

fn bytes_of_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> u64 {
    let offsets = list.value_offsets();
    let (first, length) = span(offsets);
    plain_bytes(&list.values().slice(first, length)) + size_of_val(offsets) as u64
}

/// Where the values begin that offsets speak of, and how many they are.
fn span<O: OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    let first = offsets.first().map_or(0, |first| first.as_usize());
    let last = offsets.last().map_or(first, |last| last.as_usize());
    (first, last - first)
}

/// How long a value is, by its position.
fn length_of(values: &ArrayRef) -> Box<dyn Fn(usize) -> u64 + '_> {
    match values.data_type() {
        DataType::Utf8 => value_length::<Utf8Type>(values),
        DataType::LargeUtf8 => value_length::<LargeUtf8Type>(values),
        DataType::Binary => value_length::<BinaryType>(values),
        DataType::LargeBinary => value_length::<LargeBinaryType>(values),
        DataType::Utf8View => view_length::<StringViewType>(values),
        DataType::BinaryView => view_length::<BinaryViewType>(values),
        _ => Box::new(|_| SHORT_VALUE),
    }
}

fn value_length<T: ByteArrayType>(values: &ArrayRef) -> Box<dyn Fn(usize) -> u64 + '_> {
    let values = values.as_bytes::<T>();
    Box::new(|at| values.value_length(at).as_usize() as u64)
}

fn view_length<T: ByteViewType>(values: &ArrayRef) -> Box<dyn Fn(usize) -> u64 + '_> {
    // The low half of a view's first word is its length.
    let views = values.as_byte_view::<T>().views();
    Box::new(|at| views.get(at).map_or(0, |view| u64::from(*view as u32)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{
            DictionaryArray, Int32Array, ListArray, RunArray, StringArray, StringViewArray,
            StructArray,
        },
        buffer::OffsetBuffer,
        compute::cast,
        datatypes::Field,
    };

    use super::*;

    /// Texts of 1, 2, 3 and 0 bytes, twice, in a form that the type asks for.
    fn texts(data_type: &DataType) -> ArrayRef {
        let texts: ArrayRef = Arc::new(StringArray::from(["a", "bc", "def", ""].repeat(2)));
        cast(&texts, data_type).unwrap()
    }

    #[test]
    fn a_shared_value_counts_each_time_it_stands_there() {
        let boxed = |data_type| Box::new(data_type);
        let dictionary = DataType::Dictionary(boxed(DataType::Int8), boxed(DataType::Utf8));
        for shared in [dictionary, DataType::Utf8View] {
            let texts = texts(&shared);
            assert_eq!(plain_bytes(&texts), 12, "{shared}");
            assert_eq!(plain_bytes(&texts.slice(1, 2)), 5, "{shared}");
        }
        let ends = Int32Array::from(vec![3, 10]);
        let runs = RunArray::<Int32Type>::try_new(&ends, &StringArray::from(vec!["abc", "x"]));
        let runs: ArrayRef = Arc::new(runs.unwrap());
        assert_eq!(plain_bytes(&runs), 16);
        assert_eq!(plain_bytes(&runs.slice(2, 3)), 5);
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![None, Some("abc")]));
        assert_eq!(plain_bytes(&views), 3);
    }

    #[test]
    fn of_a_slice_only_its_own_values_count() {
        let offsets = |array: &ArrayRef| 4 * (array.len() as u64 + 1);
        let plain = texts(&DataType::Utf8);
        assert_eq!(plain_bytes(&plain), 12 + offsets(&plain));
        let slice = plain.slice(2, 2);
        assert_eq!(plain_bytes(&slice), 3 + offsets(&slice));
        let inner = texts(&DataType::Utf8View);
        let field = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let lists = ListArray::new(field, OffsetBuffer::from_lengths([1, 2, 5]), inner, None);
        let lists: ArrayRef = Arc::new(lists);
        let slice = lists.slice(1, 1);
        assert_eq!(plain_bytes(&slice), 5 + offsets(&slice));
        let both = StructArray::try_from(vec![("a", plain), ("b", texts(&DataType::Utf8View))]);
        let both: ArrayRef = Arc::new(both.unwrap());
        assert_eq!(plain_bytes(&both), 12 + 4 * 9 + 12);
    }

    #[test]
    fn long_values_of_a_dictionary_come_in_small_pieces() {
        let long = "x".repeat(1 << 20);
        let values: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(), "short"]));
        // Twenty long ones among many short ones, and nulls, of which it does not matter what their key is.
        let keys = (0..9_000)
            .map(|row| (row % 3 > 0 || row % 450 == 0).then_some(i32::from(row % 450 > 0)));
        let keys = Int32Array::from_iter(keys);
        let texts: ArrayRef = Arc::new(DictionaryArray::new(keys, values));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let pieces = pieces(&batch);
        let rows: usize = pieces.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 9_000);
        let most = pieces.iter().map(bytes_of).max().unwrap();
        assert!(most <= BATCH_BYTES, "{most}");
        assert!(pieces.len() < 20, "{}", pieces.len());
    }
}
