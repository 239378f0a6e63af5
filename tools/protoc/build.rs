//! Without arguments: the build script, which tells `src/lib.rs` its own path. With arguments: the protoc.

use std::{env, error::Error, ffi::OsString, fs, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let done = if arguments.is_empty() {
        announce()
    } else {
        read(arguments).and_then(Call::run)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The message alone can lack the file; the debug form of protox's errors has file, line and column.
            eprintln!("{error}\n{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn announce() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-env=BOATHOUSE_PROTOC={}",
        env::current_exe()?.display()
    );
    Ok(())
}

/// What prost-build asks for.
struct Call {
    includes: Vec<PathBuf>,
    files: Vec<PathBuf>,
    output: PathBuf,
    imports: bool,
    source_info: bool,
}

/// Reads the options; optional fields of proto3 need none here.
fn read(arguments: Vec<OsString>) -> Result<Call, Box<dyn Error>> {
    let mut call = Call {
        includes: Vec::new(),
        files: Vec::new(),
        output: PathBuf::new(),
        imports: false,
        source_info: false,
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--include_imports") => call.imports = true,
            Some("--include_source_info") => call.source_info = true,
            Some("--experimental_allow_proto3_optional") => {}
            Some("-o") => call.output = arguments.next().ok_or("-o wants a path")?.into(),
            Some("-I") => call
                .includes
                .push(arguments.next().ok_or("-I wants a path")?.into()),
            Some(option) if option.starts_with('-') => {
                return Err(format!("this protoc has no option {option}").into());
            }
            _ => call.files.push(argument.into()),
        }
    }
    if call.output.as_os_str().is_empty() || call.files.is_empty() {
        return Err("this protoc wants -o and at least one file".into());
    }
    Ok(call)
}

impl Call {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let mut compiler = protox::Compiler::new(&self.includes)?;
        compiler.include_imports(self.imports);
        compiler.include_source_info(self.source_info);
        compiler.open_files(&self.files)?;
        fs::write(&self.output, compiler.encode_file_descriptor_set())?;
        Ok(())
    }
}
