//! The `wavetank` command; everything it does is in the library beside it.

fn main() -> std::process::ExitCode {
    wavetank_harness::cli::main()
}
