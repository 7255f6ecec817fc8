//! How the demo looks: chapters, progress bars where a person is watching, a table.

use std::cell::Cell;

use console::{Style, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::accounts::{Witness, rows};
use crate::output::print;

/// Longest line of a sentence.
const LINE_CHARACTERS: usize = 100;

/// Where the demo is shown.
pub(super) struct Screen {
    chapters: Cell<u32>,
}

#[expect(clippy::unused_self, reason = "whoever shows something has been handed a screen")]
impl Screen {
    pub(super) fn new() -> Self {
        Self { chapters: Cell::new(0) }
    }

    /// The headline.
    pub(super) fn title(&self, text: &str) {
        print("");
        print(&format!("  {}", style(text).bold().cyan()));
    }

    /// Begins a chapter.
    pub(super) fn chapter(&self, text: &str) {
        self.chapters.set(self.chapters.get() + 1);
        print("");
        print(&format!(
            "  {} {}",
            style(self.chapters.get()).bold().cyan(),
            style(text).bold()
        ));
    }

    /// Explains what is going on.
    pub(super) fn say(&self, text: &str) {
        print(&format!("    {}", style(text).dim()));
    }

    /// Tells what was found.
    pub(super) fn tell(&self, text: &str) {
        print(&format!("    {text}"));
    }

    /// Tells one of several things in a row, over as many lines as it needs.
    pub(super) fn item(&self, text: &str) {
        for (index, line) in wrap(text, LINE_CHARACTERS).into_iter().enumerate() {
            let mark = if index == 0 { "·" } else { " " };
            print(&format!("      {} {line}", style(mark).cyan()));
        }
    }

    /// Tells that something is as it should be.
    pub(super) fn good(&self, text: &str) {
        print(&format!("    {} {text}", style("✓").green().bold()));
    }

    /// The last word, when all is well.
    pub(super) fn conclude(&self, text: &str) {
        print("");
        print(&format!(
            "  {} {}",
            style("✓").green().bold(),
            style(text).bold().green()
        ));
    }

    /// The last words, when it is not.
    pub(super) fn alarm(&self, text: &str) {
        print(&format!("  {}", style(text).bold().red()));
    }

    /// A progress bar; shown only when standard error is a terminal.
    pub(super) fn bar(&self, noun: &'static str, length: u64) -> Bar {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let template = "    {bar:40.cyan/black.bright} {pos}/{len} {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━━╌"));
        bar.set_message(noun);
        Bar(bar)
    }

    /// Everybody's counts side by side, with a mark where all who know agree.
    pub(super) fn table(&self, witnesses: &[Witness]) {
        let width = |witness: &Witness| witness.name.len();
        let cells = |texts: Vec<(String, usize)>| -> String {
            let cell = |(text, width): &(String, usize)| format!("   {text:>width$}");
            texts.iter().map(cell).collect::<Vec<_>>().concat()
        };
        let head = cells(
            witnesses
                .iter()
                .map(|witness| (witness.name.to_owned(), width(witness)))
                .collect(),
        );
        print(&format!("    {}", style(format!("{:<30}{head}", "")).dim()));
        for row in rows(witnesses) {
            let said: Vec<Option<u64>> = witnesses.iter().map(|witness| witness.says(&row)).collect();
            let mut known = said.iter().flatten();
            let first = known.next().copied();
            let agree = known.all(|count| Some(*count) == first);
            let nothing = first.unwrap_or_default() == 0;
            if agree && nothing && row == super::accounts::Row::Withdrawn {
                continue;
            }
            let cell = |(count, witness): (&Option<u64>, &Witness)| {
                let text = count.map_or_else(|| "·".to_owned(), |count| count.to_string());
                (text, width(witness))
            };
            let line = format!(
                "{:<30}{}",
                row.label(),
                cells(said.iter().zip(witnesses).map(cell).collect())
            );
            let (mark, look) = if agree {
                (style("✓").green(), Style::new())
            } else {
                (style("✗").red(), Style::new().red())
            };
            print(&format!("    {}  {}", look.apply_to(line), mark.bold()));
        }
    }
}

/// Breaks a text between words. A word longer than a line has one to itself.
fn wrap(text: &str, characters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= characters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A progress bar that leaves one line behind.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn advance(&self) {
        self.0.inc(1);
    }

    pub(super) fn set(&self, position: u64) {
        self.0.set_position(position.min(self.0.length().unwrap_or(position)));
    }

    /// Takes the bar away and says what came of it.
    pub(super) fn done(self, text: &str) {
        self.0.finish_and_clear();
        print(&format!("    {} {text}", style("✓").green().bold()));
    }
}

impl Drop for Bar {
    /// An error must not leave half a bar on the screen.
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_between_words() {
        assert_eq!(
            wrap("It was displayed to the person.", 12),
            ["It was", "displayed to", "the person."]
        );
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
    }
}
