//! `load`: runs real producers against a real cluster.

use std::sync::Arc;

use tokio::signal::ctrl_c;

use super::terminal::{Exit, Failure, Terminal};
use crate::{
    clock::SystemClock,
    load::{LoadCommand, produce},
    shutdown::Tasks,
    telemetry::chain,
};

pub(super) async fn run(
    command: LoadCommand,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let LoadCommand::Produce(args) = command;
    let tasks = Tasks::default();
    let stop = tasks.stopping();
    tasks.start_short("interrupt", {
        let stop = stop.clone();
        async move {
            // If the handler cannot be installed, the signal ends the process as usual.
            if ctrl_c().await.is_ok() {
                stop.cancel();
            }
        }
    });

    match produce(args, Arc::new(SystemClock::new()), stop, terminal.out).await {
        Ok(_summary) => Ok(Exit::Done),
        Err(error) => {
            let advice = "check --kafka.server and the topic; --help explains the arguments";
            Err(Failure::new(chain(&error), advice))
        }
    }
}
