//! The live stream, from the file or from the variables that other log services use.

use std::net::SocketAddr;

use weir_document::{Diagnostic, Environment};

use super::{Location, Reader, address};
use crate::config::limits;
use crate::config::raw;
use crate::config::settings::LiveSettings;

/// The address of [`SERVICE_PORT`] without [`SERVICE_HOST`], and the port of that without a port.
const HOST: &str = "127.0.0.1";
const PORT: &str = "8765";

const BUFFER_SIZE: &str = "LOG_BUFFER_SIZE";
const SERVICE_HOST: &str = "LOG_SERVICE_HOST";
const SERVICE_PORT: &str = "LOG_SERVICE_PORT";

impl Reader<'_> {
    pub(super) fn live(&mut self, at: &Location<'_>, raw: &raw::Live, environment: Environment<'_>) -> LiveSettings {
        let listen = match &raw.listen {
            Some(text) => Some(self.address(&at.key("listen"), text)),
            None => self.service_address(environment),
        };
        let buffer = raw.buffer.or_else(|| self.buffer_size(environment)).unwrap_or(limits::LIVE_RECORDS);
        LiveSettings { buffer: usize::try_from(buffer).unwrap_or(usize::MAX), listen }
    }

    fn buffer_size(&mut self, environment: Environment<'_>) -> Option<u64> {
        let text = environment(BUFFER_SIZE).filter(|text| !text.is_empty())?;
        let size = text.parse().ok().filter(|size| *size <= limits::MAX_LIVE_RECORDS);
        if size.is_none() {
            let message = format!("{BUFFER_SIZE} is `{text}`, not a number up to {}", limits::MAX_LIVE_RECORDS);
            self.problems.push(Diagnostic::at(0..0, message));
        }
        size
    }

    fn service_address(&mut self, environment: Environment<'_>) -> Option<SocketAddr> {
        let given = |name| environment(name).filter(|text| !text.is_empty());
        let (host, port) = (given(SERVICE_HOST), given(SERVICE_PORT));
        if host.is_none() && port.is_none() {
            return None;
        }
        let text = format!("{}:{}", host.as_deref().unwrap_or(HOST), port.as_deref().unwrap_or(PORT));
        let parsed = address(&text);
        if let Err(help) = &parsed {
            let message = format!("{SERVICE_HOST} and {SERVICE_PORT} give `{text}`, not an address to listen on");
            self.problems.push(Diagnostic::at(0..0, message).help(help));
        }
        parsed.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Settings;

    fn live(variables: &[(&str, &str)]) -> Result<(usize, Option<String>), String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let settings = Settings::default_for(Path::new(""), &environment).map_err(|problems| problems.to_string())?;
        Ok((settings.live.buffer, settings.live.listen.map(|address| address.to_string())))
    }

    #[test]
    fn the_variables_of_other_log_services_are_understood() {
        assert_eq!(live(&[]), Ok((1000, None)));
        assert_eq!(live(&[("LOG_BUFFER_SIZE", "50")]), Ok((50, None)));
        let address = |text: &str| Ok((1000, Some(text.to_owned())));
        assert_eq!(live(&[("LOG_SERVICE_PORT", "9000")]), address("127.0.0.1:9000"));
        assert_eq!(live(&[("LOG_SERVICE_HOST", "localhost")]), address("127.0.0.1:8765"));
        assert_eq!(
            live(&[("LOG_SERVICE_HOST", "::1"), ("LOG_SERVICE_PORT", "")]),
            live(&[("LOG_SERVICE_HOST", "::1")])
        );
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (variable, value) in
            [("LOG_BUFFER_SIZE", "many"), ("LOG_SERVICE_PORT", "99999"), ("LOG_SERVICE_HOST", "logs")]
        {
            let error = live(&[(variable, value)]).expect_err("it is wrong");
            assert!(error.contains(variable) && error.contains(value), "{error}");
        }
    }
}
