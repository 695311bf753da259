// sluice/sluice.hpp - everything.
#pragma once

#include <sluice/api_keys.hpp>
#include <sluice/authentication.hpp>
#include <sluice/bytes.hpp>
#include <sluice/connection.hpp>
#include <sluice/error.hpp>
#include <sluice/event_stream.hpp>
#include <sluice/forward.hpp>
#include <sluice/headers.hpp>
#include <sluice/http_request.hpp>
#include <sluice/http_response.hpp>
#include <sluice/rate_limit.hpp>
#include <sluice/response_cache.hpp>
#include <sluice/result.hpp>
#include <sluice/server.hpp>
#include <sluice/settings.hpp>
#include <sluice/ssl_options.hpp>
#include <sluice/tls_info.hpp>
#include <sluice/version.hpp>
