//! The binary: passes arguments and streams to the library, and returns its exit code.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use kafka_optimizer::cli::{self, Terminal};

fn main() -> ExitCode {
    let input = io::stdin();
    let interactive = input.is_terminal();

    // Not locked: other threads write the log to standard error.
    let mut terminal = Terminal {
        out: &mut io::stdout(),
        err: &mut io::stderr(),
        input: &mut input.lock(),
        interactive,
    };

    ExitCode::from(cli::run(std::env::args_os(), &mut terminal).code())
}
