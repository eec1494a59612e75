use std::io::{self, Stderr, Write};

use crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, window_size,
};

/// A terminal with lines at the bottom that change, below what scrolls.
///
/// Between two frames the cursor stands, hidden, at the beginning of the first live line: whatever a
/// terminal does to lines when its width changes, it keeps the cursor at that character, so that all
/// of a frame is below it and goes away at once. Nothing needs to be known of how it wrapped them.
#[derive(Debug)]
pub(super) struct Terminal<T> {
    tty: T,
    /// The lines that stand there, if that is known.
    live: Option<Vec<String>>,
    /// There is a frame, and the cursor is hidden.
    entered: bool,
}

/// What is drawn on.
pub(in crate::report) trait Tty: Write {
    /// Columns and rows.
    fn size(&self) -> (usize, usize);

    /// Whether it is ours to draw on, and not that of somebody who has put us into the background.
    fn is_ours(&self) -> bool;
}

impl<T: Tty> Terminal<T> {
    pub(super) const fn new(tty: T) -> Self {
        Self { tty, live: None, entered: false }
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        self.tty.size()
    }

    pub(super) fn is_ours(&self) -> bool {
        self.tty.is_ours()
    }

    /// Whether these lines stand there already.
    pub(super) fn shows(&self, live: &[String]) -> bool {
        match &self.live {
            Some(shown) => shown == live,
            None => !self.entered && live.is_empty(),
        }
    }

    /// Lets `notes` scroll, and puts `live` below them.
    pub(super) fn draw(&mut self, notes: &[String], live: Vec<String>) -> io::Result<()> {
        let mut frame = Vec::new();
        queue!(frame, BeginSynchronizedUpdate)?;
        self.clear(&mut frame)?;
        for note in notes {
            queue!(frame, Print(note), Print("\r\n"))?;
        }
        if !live.is_empty() {
            // A terminal that has become narrower a moment ago clips what is too wide for it now.
            queue!(frame, Hide, DisableLineWrap, Print(live.join("\r\n")), EnableLineWrap)?;
            queue!(frame, MoveToColumn(0))?;
            // Of 0 it would make 1.
            if let Some(below) = u16::try_from(live.len() - 1).ok().filter(|below| *below > 0) {
                queue!(frame, MoveUp(below))?;
            }
            self.entered = true;
        }
        queue!(frame, EndSynchronizedUpdate)?;
        self.live = Some(live);
        self.write(&frame)
    }

    /// What stands there may be something else now: the next frame is drawn in any case.
    pub(super) fn forget(&mut self) {
        self.live = None;
    }

    /// Leaves the terminal to others, with these lines as the last of ours. A frame takes it back.
    pub(super) fn leave_with(&mut self, last: &[String]) -> io::Result<()> {
        let mut frame = Vec::new();
        self.clear(&mut frame)?;
        for line in last {
            queue!(frame, Print(line), Print("\r\n"))?;
        }
        if self.entered {
            queue!(frame, Show)?;
        }
        self.entered = false;
        self.live = None;
        self.write(&frame)
    }

    #[cfg(test)]
    pub(super) const fn tty(&mut self) -> &mut T {
        &mut self.tty
    }

    fn clear(&self, frame: &mut Vec<u8>) -> io::Result<()> {
        if !self.entered {
            return Ok(());
        }
        // Also what was typed or echoed there meanwhile. All but the first character goes first: who
        // clears from the very first of the screen, where a frame may stand, clears a screen, and
        // some terminals (tmux) keep a copy of that among what has scrolled off.
        queue!(frame, MoveToColumn(1), Clear(ClearType::FromCursorDown))?;
        queue!(frame, MoveToColumn(0), Clear(ClearType::CurrentLine))
    }

    /// At once, so that nobody sees half a frame.
    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.tty.write_all(frame)?;
        self.tty.flush()
    }
}

impl Tty for Stderr {
    fn size(&self) -> (usize, usize) {
        /// What a terminal has that does not know better.
        const USUAL: (usize, usize) = (80, 24);
        let Ok(size) = window_size() else { return USUAL };
        match (usize::from(size.columns), usize::from(size.rows)) {
            (0, _) | (_, 0) => USUAL,
            size => size,
        }
    }

    #[cfg(unix)]
    fn is_ours(&self) -> bool {
        // Without job control nobody else has it.
        rustix::termios::tcgetpgrp(self).map_or(true, |group| group == rustix::process::getpgrp())
    }

    #[cfg(not(unix))]
    fn is_ours(&self) -> bool {
        true
    }
}
