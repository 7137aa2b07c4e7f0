//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    rerail::surfaces::cli::main()
}
