# Finds the torch of Python_EXECUTABLE, and links a library to it. By path: torch's own CMake configuration needs a CUDA
# toolkit wherever torch was built for CUDA.

find_package(Python COMPONENTS Interpreter REQUIRED)

# last line that a piece of Python prints, or an error with the reason
function(ask_python result code purpose)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "${code}"
    OUTPUT_VARIABLE answer ERROR_VARIABLE reason RESULT_VARIABLE status
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${Python_EXECUTABLE} cannot tell ${purpose}:\n${reason}")
  endif()
  string(REGEX REPLACE "^.*\n" "" answer "${answer}")
  set(${result} "${answer}" PARENT_SCOPE)
endfunction()

ask_python(TORCH_DIR "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
  "where torch is")
ask_python(TORCH_VERSION_STRING "import importlib.metadata as m; print(m.version('torch'))"
  "the version of torch")
message(STATUS "torch ${TORCH_VERSION_STRING} in ${TORCH_DIR}")

set(MLIP_TORCH_RPATH "${TORCH_DIR}/lib" CACHE STRING
  "where the compiled libraries look for libtorch; a path relative to them begins with $ORIGIN")

if(TORCH_VERSION_STRING VERSION_GREATER_EQUAL 2.10)
  set(CMAKE_CXX_STANDARD 20)
else()
  set(CMAKE_CXX_STANDARD 17)
endif()
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

function(link_torch target)
  target_include_directories(${target} SYSTEM PRIVATE
    ${TORCH_DIR}/include ${TORCH_DIR}/include/torch/csrc/api/include)
  target_link_libraries(${target} PRIVATE
    -Wl,--no-as-needed ${TORCH_DIR}/lib/libtorch.so ${TORCH_DIR}/lib/libtorch_cpu.so
    ${TORCH_DIR}/lib/libc10.so)
  set_target_properties(${target} PROPERTIES
    BUILD_RPATH "${TORCH_DIR}/lib" INSTALL_RPATH "$ORIGIN;${MLIP_TORCH_RPATH}")
endfunction()
