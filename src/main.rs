//! The program: arguments in, exit code out. Everything else is in the library.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use kafka_optimizer::cli::{self, Interaction, Terminal};

fn main() -> ExitCode {
    let input = io::stdin();
    let interaction = if input.is_terminal() { Interaction::Person } else { Interaction::Script };
    // Not locked: the log is written to the standard error too, from other threads.
    let mut terminal = Terminal {
        out: &mut io::stdout(),
        err: &mut io::stderr(),
        input: &mut input.lock(),
        interaction,
    };
    ExitCode::from(cli::run(std::env::args_os(), &mut terminal).code())
}
