//! Standard output: results, with styles where they are wanted, in the width of the terminal.

use std::io::{self, IsTerminal, Write};

use wavetank_scenarios::exit::Exit;

use super::Stop;

/// What is assumed where there is no terminal to ask.
const WIDTH: usize = 80;
/// Lines longer than this are hard to read, however wide the terminal is.
const WIDEST: usize = 120;

/// Where results go. A reader that goes away (`| head`) is no error: what follows is dropped, and [`Output::is_closed`]
/// tells those who would otherwise go on for long.
pub struct Output {
    to: Box<dyn Write>,
    width: usize,
    closed: bool,
}

impl Output {
    /// The standard output of the process.
    pub fn stdout() -> Self {
        let width = if io::stdout().is_terminal() {
            terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0).min(WIDEST))
        } else {
            WIDTH
        };
        Self {
            to: Box::new(anstream::stdout()),
            width,
            closed: false,
        }
    }

    /// How many columns there are.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// True when nobody reads any more.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Prints a text as it is, and hands it on at once.
    ///
    /// # Errors
    /// When the output cannot be written for another reason than that nobody reads it.
    pub fn print(&mut self, text: &str) -> Result<(), Stop> {
        if self.closed {
            return Ok(());
        }
        match self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Stop::new(
                Exit::Internal,
                format!("standard output cannot be written: {error}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(kind: io::ErrorKind) -> Output {
        Output {
            to: Box::new(Broken(kind)),
            width: WIDTH,
            closed: false,
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_noticed_and_no_error() {
        let mut output = output(io::ErrorKind::BrokenPipe);
        assert!(!output.is_closed());
        output.print("x").expect("no error");
        assert!(output.is_closed());
        output.print("y").expect("dropped");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let stop = output(io::ErrorKind::StorageFull)
            .print("x")
            .expect_err("nothing was written");
        assert_eq!(stop.exit, Exit::Internal);
        assert!(stop.message.contains("standard output cannot be written"));
    }
}
