//! The binary: passes arguments and streams to the library, and returns its exit code.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use kafka_optimizer::cli::{self, ChooseByKeys, Terminal};

/// Columns of the terminal that standard output is.
fn columns() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}

fn main() -> ExitCode {
    let input = io::stdin();
    let interactive = input.is_terminal();
    let has_keys = interactive && io::stderr().is_terminal();
    let choose_by_keys: ChooseByKeys = cli::choose_by_keys;

    // Not locked: other threads write the log to standard error.
    let mut terminal = Terminal {
        out: &mut io::stdout(),
        err: &mut io::stderr(),
        input: &mut input.lock(),
        interactive,
        width: io::stdout().is_terminal().then(columns).flatten(),
        choose_by_keys: has_keys.then_some(choose_by_keys),
    };

    ExitCode::from(cli::run(std::env::args_os(), &mut terminal).code())
}
