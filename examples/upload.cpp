// examples/upload.cpp - files of clients, on the disk as they arrive.
//
//   upload FOLDER [PORT]                                     8080; port 0 asks for a free one
//   curl -F note=hello -F file=@photo.jpg http://localhost:8080/form
//   curl -T photo.jpg http://localhost:8080/put/
//
// What /put/ takes is stored and answered without any code; /form has a handler of its own.
#include <cstdlib>
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: upload FOLDER [PORT]\n";
    return 2;
  }
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 2 ? std::atoi(argv[2]) : 8080);
  server.http_upload_files.stream_type = sluice::UploadStream::file;
  server.http_upload_files.save_directory = argv[1];
  server.limits.upload_file_bytes = std::uint64_t{10} << 30;

  server.on_http_upload_before_save_file = [](sluice::Connection, std::string& file_name,
                                              std::string&) {
    std::cout << "saving " << file_name << std::endl;
  };
  if (!server.uploads("/put/", argv[1])) return 1;
  const auto added = server.route(
      "POST", "/form",
      [](sluice::Connection, const sluice::HttpRequest& request, sluice::HttpResponse& response) {
        std::string text;
        for (const sluice::FormField& field : request.fields()) {
          text += field.name + ": " + std::string(field.value) + "\n";
        }
        for (const sluice::UploadedFile& file : request.files()) {
          text += file.file_name + ": " + std::to_string(file.size) + " bytes\n";
        }
        response.content_text(text);
      });
  if (!added) return 1;

  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
