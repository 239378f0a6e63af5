"""The peer DuckDB: tables of databases and files into one Parquet file, by one COPY."""

import urllib.parse

import duckdb
import duckdb_extension_mysql_scanner
import duckdb_extension_postgres_scanner
import lines

# Scheme of a URL: the packaged extension, its type and what it calls a database.
SCANNERS = {
    "postgres": (duckdb_extension_postgres_scanner, "postgres_scanner", "postgres", "dbname"),
    "mysql": (duckdb_extension_mysql_scanner, "mysql_scanner", "mysql", "database"),
}


def opened(threads):
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    connection.execute("SET enable_progress_bar = false")
    return connection


def copy(connection, source, out):
    connection.execute(f"COPY (SELECT * FROM {source}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def table(dsn, table, key, out, threads):
    url = urllib.parse.urlsplit(dsn)
    package, file, kind, database = SCANNERS[url.scheme]
    folder = f"{package.__path__[0]}/extensions/v{duckdb.__version__}"
    place = (
        f"host={url.hostname} port={url.port} user={url.username} password={url.password} "
        f"{database}={url.path[1:]}"
    )

    def work():
        with opened(threads) as connection:
            connection.execute(f"LOAD '{folder}/{file}.duckdb_extension'")
            connection.execute(f"ATTACH '{place}' AS source (TYPE {kind}, READ_ONLY)")
            schema = "public" if kind == "postgres" else url.path[1:]
            copy(connection, f"source.{schema}.{table}", out)

    return lines.costs(work)


def file(path, format, out, threads):
    def work():
        with opened(threads) as connection:
            copy(connection, f"read_{format}('{path}')", out)

    return lines.costs(work)


lines.serve(f"DuckDB {duckdb.__version__}", {"table": table, "file": file})
