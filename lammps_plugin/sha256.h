// SHA-256 (FIPS 180-4), to detect damaged model files.

#ifndef MLIP_SHA256_H
#define MLIP_SHA256_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace mlip {

class Sha256 {
 public:
  void update(const void *bytes, size_t length);
  std::string hex_digest();    // finishes the computation

 private:
  void process_block(const uint8_t *block);

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t buffer_[64] = {};
  size_t buffered_ = 0;
  uint64_t total_ = 0;    // bytes
};

}    // namespace mlip

#endif
