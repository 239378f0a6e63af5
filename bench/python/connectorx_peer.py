"""P8's peer ConnectorX: a table of a database into one Parquet file, written by pyarrow."""

import importlib.metadata
import os

import lines


def table(dsn, table, key, out, threads):
    # Its pool is made with the library, one thread a partition.
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    import connectorx
    import pyarrow.parquet

    def work():
        rows = connectorx.read_sql(
            dsn,
            f"SELECT * FROM {table}",
            return_type="arrow",
            partition_on=key,
            partition_num=threads,
        )
        pyarrow.parquet.write_table(rows, out, compression="zstd")

    return lines.costs(work)


lines.serve(f"ConnectorX {importlib.metadata.version('connectorx')}", {"table": table})
