//! Says so when a request to AWS is made again. Whether and when it is, the SDK decides: what may pass, five times,
//! with growing pauses.

use aws_sdk_ecr::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ecr::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::retries::RequestAttempts;

use workspace::ui;

#[derive(Debug)]
pub(super) struct SaysSo;

impl Intercept for SaysSo {
    fn name(&self) -> &'static str {
        "SaysSo"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempt = config.load::<RequestAttempts>().map_or(1, RequestAttempts::attempts);
        if attempt > 1 {
            ui::note("Retrying", format!("a request to AWS that failed ({attempt} of 5)"));
        }
        Ok(())
    }
}
