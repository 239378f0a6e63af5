"""The peer pyarrow: a CSV or JSON file into one Parquet file. CSV is streamed; its JSON reader cannot."""

import lines
import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet


def file(path, format, out, threads):
    pyarrow.set_cpu_count(threads)
    pyarrow.set_io_thread_count(threads)

    def streamed():
        with pyarrow.csv.open_csv(path) as batches:
            with pyarrow.parquet.ParquetWriter(out, batches.schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)

    def whole():
        pyarrow.parquet.write_table(pyarrow.json.read_json(path), out, compression="zstd")

    return lines.costs(streamed if format == "csv" else whole)


lines.serve(f"pyarrow {pyarrow.__version__}", {"file": file})
