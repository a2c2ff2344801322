//! Choices with the arrow keys.

use std::io;

use dialoguer::{FuzzySelect, console::Term, theme::ColorfulTheme};

/// Lets a person at the terminal choose with the arrow keys, or by typing the number. `None` if
/// they press Escape. `NO_COLOR` is respected.
pub fn choose_by_keys(question: &str, choices: &[String]) -> io::Result<Option<usize>> {
    let theme = ColorfulTheme::default();
    let select = FuzzySelect::with_theme(&theme).with_prompt(question).items(choices).default(0);

    select.interact_on_opt(&Term::stderr()).map_err(Into::into)
}
