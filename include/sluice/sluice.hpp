// sluice/sluice.hpp - everything.
#pragma once

#include <sluice/bytes.hpp>
#include <sluice/connection.hpp>
#include <sluice/error.hpp>
#include <sluice/headers.hpp>
#include <sluice/http_request.hpp>
#include <sluice/http_response.hpp>
#include <sluice/result.hpp>
#include <sluice/server.hpp>
#include <sluice/settings.hpp>
#include <sluice/version.hpp>
