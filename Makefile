# Parallax
#   make          the program, build/release/parallax
#   make demo     installs what is missing, builds, and reconstructs a sample picture with the shipped model
#   make test     installs what is missing, builds, runs every test
#   make lint     formatting, and who may include whom
#   make data     the default object set (Debian's sweethome3d-furniture, not installed) into data/
#   make data-flightgear  aircraft, ships, buildings, vehicles (GPL: not for models that are given away) into data/
#   make data-kicad  6,224 electronic components (CC-BY-SA and GPL: likewise) into data/
#   make deps     the Debian packages that are missing
#   make results  the numbers of the README's results, into build/results (over an hour)
#   make baselines  the two models that the results are compared with, into build/baselines (hours; make results then takes them)
#   make gallery  the README's gallery, into build/gallery
#   make rates    the pixel-aligned field and the triplane at three learning rates each, into build/rates (goes on where it was stopped)
#   make ablations  models trained with one choice changed each, into build/ablations (hours; goes on where it was stopped)
#   make install  the C library, its headers, parallax.pc and the program: PREFIX=/usr/local, DESTDIR for packages
#   make fuzz     every parser of ours under libFuzzer, a minute each (seconds=60)
#   make cuda-check  registers and spills of the CUDA kernels, for every architecture, against the record; make cuda-record: a new one
#   make bench-peers  the same stages in PyTorch, compared and timed in turns
# config=release|debug|sanitize   werror=1   verbose=1   CUDA=1 (NVIDIA cards too, into build/release-cuda; CUDA_HOME=/usr/local/cuda)
config ?= release
build := build/$(config)$(if $(CUDA),-cuda)
program := $(build)/parallax

ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS_release := -O3 -march=native -fno-math-errno -g
CFLAGS_debug := -O0 -march=native -g
CFLAGS_sanitize := -O1 -march=native -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# -Wno-psabi: vectors wider than the processor's registers (nerf/tensor/simd.h) are passed to inline functions only.
CFLAGS += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-psabi \
    $(if $(werror),-Werror) $(CFLAGS_$(config)) -fopenmp -fPIC -MMD -MP -I. -DCGLM_ALL_UNALIGNED
LDLIBS := -lassimp -lembree3 -lOpenEXRCore-3_1 -lmeshoptimizer -lpng -lzip -ldnnl -lvl -ljansson -llmdb -lxxhash -lnettle -lpopt -lm

library_sources := $(wildcard nerf/core/*.c nerf/tensor/*.c nerf/*.c diffusion/*.c render/*.c datasets/*.c)
CUDA_HOME ?= /usr/local/cuda
cuda_sources := $(wildcard nerf/tensor/cuda_*.c) nerf/tensor/kernels_cuda.c
cuda_kernels := $(wildcard nerf/tensor/cuda_*.cu)
cuda_archs ?= 75 80 86 89 90
ifdef CUDA
NVCC := $(CUDA_HOME)/bin/nvcc
NVCCFLAGS := -std=c++17 -O3 -I. -Xcompiler -fPIC -Werror all-warnings $(foreach a,$(cuda_archs),-gencode arch=compute_$(a),code=sm_$(a)) \
    -gencode arch=compute_$(lastword $(cuda_archs)),code=compute_$(lastword $(cuda_archs))
CFLAGS += -isystem $(CUDA_HOME)/include
LDLIBS += -L$(CUDA_HOME)/lib64 -Wl,-rpath,$(CUDA_HOME)/lib64 -lcublasLt -lcudnn -lcudart -lstdc++
cuda_objects := $(patsubst %.cu,$(build)/%.nv.o,$(cuda_kernels))
$(build)/nerf/tensor/device.o: CFLAGS += -DPLX_CUDA
else
library_sources := $(filter-out $(cuda_sources),$(library_sources))
endif
library_headers := $(wildcard nerf/core/*.h nerf/tensor/*.h nerf/*.h diffusion/*.h render/*.h datasets/*.h)
public_headers := nerf/nerf.h nerf/card.h nerf/latents.h nerf/consistency.h diffusion/diffusion.h render/render.h datasets/datasets.h
version := $(shell sed -n 's/^.define PLX_VERSION "\(.*\)"/\1/p' nerf/nerf.h)
# Before 1.0 a minor version may change the interface.
soname := libparallax.so.$(basename $(version))
tool_sources := $(wildcard tools/*.c)
test_sources := $(wildcard tests/test_*.c) tests/kernel_check.c tests/tested_table.c tests/fuzz_targets.c
fuzz_sources := $(wildcard tests/fuzz_*.c) $(wildcard nerf/core/*.c render/*.c datasets/*.c) nerf/tensor/checkpoint.c
peer_sources := tests/peers/stage.c
sources := $(library_sources) $(tool_sources) $(test_sources) $(peer_sources)
objects = $(patsubst %.c,$(build)/%.o,$(1))
quiet := $(if $(verbose),,@)

.PHONY: all demo install fuzz objects deps deps-fuzz deps-test deps-readers deps-npm deps-lint deps-data deps-browser deps-results deps-gallery deps-peers test lint data data-flightgear results baselines rates ablations gallery bench-peers clean ptxas cuda-check cuda-record
all: $(program)
objects: $(call objects,$(sources)) # compiles everything, links nothing

$(build)/libparallax.a: $(call objects,$(library_sources)) $(cuda_objects)
	@echo "  AR $@"
	$(quiet)rm -f $@ && ar rcs $@ $^
$(program): $(call objects,$(tool_sources)) $(build)/libparallax.a
	@echo "  LD $@"
	$(quiet)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
# The tests reach the tools' own parts too, all but main; calls of malloc are counted (tests/test_bench.c).
$(build)/run_tests: $(call objects,$(test_sources) $(filter-out tools/parallax.c,$(tool_sources))) $(if $(CUDA),$(build)/tests/card_table.o) \
    $(build)/libparallax.a
	@echo "  LD $@"
	$(quiet)$(CC) $(CFLAGS) $(foreach f,malloc calloc realloc aligned_alloc,-Wl,--wrap=$(f)) -o $@ $^ $(LDLIBS)
# The library with a driver of its single stages, for Python's ctypes (tests/peers).
$(build)/libstages.so: $(call objects,$(peer_sources) $(library_sources))
	@echo "  LD $@"
	$(quiet)$(CC) $(CFLAGS) -shared -o $@ $^ $(LDLIBS)
$(build)/tools/evaluation_html.o: tools/evaluation_page.css tools/evaluation_page.js # stand in it as text
# The library for others: it exports what the public headers declare, and nothing else.
$(build)/libparallax.map: $(library_headers) Makefile
	@mkdir -p $(@D)
	$(quiet)names=$$(printf '#include "%s"\n' $(public_headers) | $(CC) -I. -E -P -x c - | \
	    grep -oE '\bplx_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u) && \
	    printf '{ global:\n%s\nlocal: *; };\n' "$$(printf '%s;\n' $$names)" >$@
$(build)/libparallax.so: $(call objects,$(library_sources)) $(cuda_objects) $(build)/libparallax.map
	@echo "  LD $@"
	$(quiet)$(CC) $(CFLAGS) -shared -Wl,-soname,$(soname) -Wl,-z,defs -Wl,--version-script=$(build)/libparallax.map \
	    -o $@ $(filter %.o,$^) $(LDLIBS)
kernel_tests := tests/test_kernels.c $(patsubst %,tests/test_kernels_%.c,field products rays step train)
# The CUDA kernels as plain C++ under an emulation of the language, in the kernels' tests (config=sanitize).
cuda_kernel_sources := $(wildcard nerf/tensor/cuda_*.cu) tests/cuda/planted.cu
CXXFLAGS := -std=c++17 -fno-strict-aliasing -Wall -Wextra -Wno-unknown-pragmas $(if $(werror),-Werror) $(CFLAGS_$(config)) -fopenmp -MMD -MP -I.
$(build)/run_cuda_kernels: $(patsubst %,$(build)/%.o,$(cuda_kernel_sources)) \
    $(patsubst %.cpp,$(build)/%.o,$(wildcard tests/cuda/*.cpp)) \
    $(call objects,$(filter-out tests/test_kernels_products.c,$(kernel_tests)) tests/kernel_check.c tests/test_main.c $(patsubst %,nerf/tensor/kernels_%.c,ref field_ref rays train) \
        nerf/tensor/frame.c nerf/core/rng.c nerf/core/error.c)
	@echo "  LD $@"
	$(quiet)$(CXX) $(CXXFLAGS) -o $@ $^
# Whole models on table `cuda`: those kernels, the C around them, and stand-ins for NVIDIA's libraries. Needs their headers.
cuda_standins := $(wildcard tests/cuda/*.c)
cuda_emulated := $(if $(wildcard $(CUDA_HOME)/include/cudnn.h),$(build)/run_cuda_models)
$(build)/tests/cuda/device.o: nerf/tensor/device.c Makefile
	@mkdir -p $(@D)
	$(quiet)$(CC) $(CFLAGS) -DPLX_CUDA -c -o $@ $<
$(call objects,$(cuda_standins) $(cuda_sources)): CFLAGS += -isystem $(CUDA_HOME)/include
$(build)/run_cuda_models: $(call objects,$(cuda_standins) $(cuda_sources) $(kernel_tests) tests/test_grad.c tests/test_grad_field.c \
    tests/kernel_check.c tests/tested_table.c tests/test_main.c $(filter-out tools/parallax.c,$(tool_sources))) \
    $(build)/tests/cuda/device.o $(build)/tests/card_table.o \
    $(build)/tests/cuda/emulation.o $(patsubst %,$(build)/%.o,$(cuda_kernels)) $(build)/libparallax.a
	@echo "  LD $@"
	$(quiet)$(CXX) $(CXXFLAGS) -o $@ $^ $(LDLIBS)
$(build)/%.cu.o: %.cu Makefile
	@mkdir -p $(@D)
	@echo "  CXX $<"
	$(quiet)$(CXX) $(CXXFLAGS) -include tests/cuda/emulation.h -x c++ -c -o $@ $<
$(build)/%.o: %.cpp Makefile
	@mkdir -p $(@D)
	@echo "  CXX $<"
	$(quiet)$(CXX) $(CXXFLAGS) $(if $(findstring tests/cuda/,$<),-include tests/cuda/emulation.h) -c -o $@ $<
$(build)/%.nv.o: %.cu Makefile
	@mkdir -p $(@D)
	@echo "  NVCC $<"
	$(quiet)$(NVCC) $(NVCCFLAGS) -MD -MP -MF $(@:.o=.d) -c -o $@ $<
$(build)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(quiet)$(CC) $(CFLAGS) -c -o $@ $<

# ---- registers and spills of the CUDA kernels, by ptxas: no more than tests/fixtures/cuda_registers.tsv ------------------
nvcc := $(wildcard $(CUDA_HOME)/bin/nvcc)
cuda_record := tests/fixtures/cuda_registers.tsv
ptxas_reports = $(foreach a,$(1),$(patsubst nerf/tensor/%.cu,build/ptxas/sm_$(a)/%.ptxas,$(cuda_kernels)))
define ptxas_rule
build/ptxas/sm_$(1)/%.ptxas: nerf/tensor/%.cu Makefile
	@mkdir -p $$(@D)
	@echo "  NVCC $$< (sm_$(1))"
	$$(quiet)$(nvcc) -std=c++17 -O3 -I. -Werror all-warnings -arch=sm_$(1) -Xptxas -v -MMD -MP -MF $$(@:.ptxas=.d) -MT $$@ -cubin \
	    -o $$(@:.ptxas=.cubin) $$< 2>$$@.part || { cat $$@.part >&2; exit 1; }; mv $$@.part $$@
endef
$(foreach a,$(cuda_archs),$(eval $(call ptxas_rule,$(a))))
-include $(patsubst %.ptxas,%.d,$(call ptxas_reports,$(cuda_archs)))
ptxas: $(call ptxas_reports,$(cuda_archs))
ifeq ($(nvcc),)
cuda-check cuda-record:
	@echo "$@: skipped: there is no $(CUDA_HOME)/bin/nvcc (CUDA_HOME says where)"
else
cuda-check:
	+@$(submake) ptxas
	@tests/cuda/check_registers.sh $(nvcc) $(cuda_record) $(call ptxas_reports,$(cuda_archs)) || [ $$? = 77 ]
cuda-record:
	+@$(submake) ptxas
	@tests/cuda/check_registers.sh --record $(nvcc) $(call ptxas_reports,$(cuda_archs)) >$(cuda_record)
endif

# ---- Debian packages, by name --------------------------------------------------------------------------------------
deps: packages := build-essential libassimp-dev libcglm-dev libdnnl-dev libembree-dev libjansson-dev liblmdb-dev \
    libmeshoptimizer-dev libopenexr-dev libpng-dev libpopt-dev libvlfeat-dev nettle-dev librandom123-dev libstb-dev libxxhash-dev libzip-dev pkgconf ffmpeg
deps-fuzz: packages := clang libclang-rt-14-dev libomp-dev
deps-lint: packages := clang clang-format libomp-dev
deps-test: packages := openexr# exrheader, which reads the files that are written
deps-data: packages := unzip
deps-kicad: packages := python3 python3-numpy
deps-browser: packages := chromium tidy
deps-readers: packages := python3-numpy python3-pil
deps-npm: packages = $(if $(shell command -v npm),,npm)
deps-results: packages := python3
deps-gallery: packages := python3 python3-pil
deps-peers: packages := python3-torch python3-numpy libopenblas0-openmp

# Installs those of $(packages) that are missing; prints the command before it runs it, and stops where it may not.
# On a system without dpkg it says what is needed and goes on. flock: under make -j, as apt-get does not wait for another.
deps deps-test deps-readers deps-npm deps-lint deps-data deps-kicad deps-browser deps-results deps-gallery deps-peers deps-fuzz:
	@missing=$$(for name in $(packages); do \
	    dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || printf ' %s' $$name; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "needed, by Debian's names:$$missing" >&2; exit 0; fi; \
	exec 9<Makefile && flock 9; \
	if [ "$$(id -u)" = 0 ]; then sudo=; elif [ -t 0 ]; then sudo="sudo "; else sudo="sudo -n "; fi; \
	update="$${sudo}apt-get update -qq"; \
	install="$${sudo}env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends$$missing"; \
	printf '%s\n' "$$update" "$$install"; \
	if [ -n "$$sudo" ] && ! command -v sudo >/dev/null; then \
	    echo "not root, and no sudo: run the two lines above as root" >&2; exit 1; fi; \
	$$update; $$install >/dev/null || { echo "could not install:$$missing" >&2; exit 1; }

# What some tests read our files with, and skip where it is not there: numpy, Pillow, and Khronos's glTF validator (npm), which
# is left out where npm's registry is not to be reached.
gltf_validator := build/npm/node_modules/gltf-validator
deps-readers: $(gltf_validator)
$(gltf_validator): | deps-npm
	npm install --prefix build/npm --no-audit --no-fund --loglevel=error gltf-validator@2.0.0-dev.3.10 || \
	    echo "could not install: gltf-validator" >&2

# What is built after deps is built by a make of its own, so that nothing compiles before its headers are there.
submake = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- demo -----------------------------------------------------------------------------------------------------------
demo_output := build/demo
demo: deps
	+@$(submake) $(program)
	$(program) reconstruct datasets/samples/stone-lantern.png -o $(demo_output)

# ---- tests and lint -------------------------------------------------------------------------------------------------
# OMP_WAIT_POLICY: threads that wait at a barrier sleep, or a busy machine takes many times as long.
# The CUDA kernels run and are compiled once, in the tests without sanitizers.
test: deps deps-test
	+@$(submake) $(build)/run_tests $(program) $(build)/libparallax.so $(if $(filter build/release,$(build)),$(cuda_emulated)) $(if $(peers_torch),$(if $(filter release,$(config)),$(build)/libstages.so))
	+@$(if $(filter release,$(config)),$(submake) config=sanitize CUDA= build/sanitize/run_cuda_kernels $(if $(nvcc),$(call ptxas_reports,80)))
	@OMP_WAIT_POLICY=passive LSAN_OPTIONS=suppressions=tests/leaks.txt:print_suppressions=0 $(build)/run_tests

lint: deps-lint
	@clang-format --dry-run -Werror $(wildcard $(foreach d,nerf nerf/core nerf/tensor diffusion render datasets tools tests \
	    tests/fuzz tests/peers tests/cuda,$(d)/*.c $(d)/*.h $(d)/*.cu $(d)/*.cpp))
	@tests/check_layers.sh

# ---- fuzzing: clang's libFuzzer with its sanitizers; what it finds goes to tests/fixtures/fuzz, where a test reads it ----
CFLAGS_fuzz := -O1 -march=native -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
fuzz_targets := $(notdir $(wildcard tests/fixtures/fuzz/*))
seconds ?= 60
$(build)/run_fuzz: $(call objects,$(fuzz_sources))
	@echo "  LD $@"
	$(quiet)$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS_fuzz)
LDLIBS_fuzz := $(filter-out -ldnnl -lvl -llmdb -lxxhash -lpopt,$(LDLIBS))
fuzz: deps deps-fuzz
	+@$(submake) build/fuzz/run_fuzz config=fuzz CC=clang
	@printf '%s\n' $(fuzz_targets) | xargs -P $$(nproc) -I@ sh -c ' \
	    mkdir -p build/fuzz/corpus/@; \
	    FUZZ_TARGET=@ LSAN_OPTIONS=suppressions=tests/leaks.txt:print_suppressions=0 build/fuzz/run_fuzz \
	        -max_total_time=$(seconds) -timeout=20 -rss_limit_mb=3000 -max_len=16384 -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/@- build/fuzz/corpus/@ tests/fixtures/fuzz/@ 2>build/fuzz/@.log \
	        || { tail -40 build/fuzz/@.log; exit 255; }; \
	    sed -n "s/^stat::number_of_executed_units: */fuzz @, inputs: /p" build/fuzz/@.log'

# ---- the default object set: data/sweethome3d/COLLECTION/... ---------------------------------------------------------
data: data/sweethome3d
data/sweethome3d: | deps-data
	@rm -rf data/download && mkdir -p data/download/sweethome3d
	cd data/download && { apt-get download sweethome3d-furniture || \
	    { apt-get update -qq && apt-get download sweethome3d-furniture; }; }
	dpkg-deb -x data/download/sweethome3d-furniture_*.deb data/download
	@for zip in data/download/usr/share/sweethome3d/furniture/*.sh3f; do \
	    unzip -q $$zip -d data/download/sweethome3d/$$(basename $$zip .sh3f) || exit 1; done
	@cp data/download/usr/share/doc/sweethome3d-furniture/copyright data/download/sweethome3d/
	@mv data/download/sweethome3d $@ && rm -rf data/download
	@echo "unpacked: $@ ($$(find $@ -name '*.obj' | wc -l) objects)"

# ---- aircraft, ships, buildings: data/flightgear/{Aircraft,Models}; SGI pictures as PNGs, which the models then name -------
data-flightgear: data/flightgear
data/flightgear: | deps
	@rm -rf data/download-fg && mkdir -p data/download-fg/flightgear
	cd data/download-fg && { apt-get download flightgear-data-ai flightgear-data-models || \
	    { apt-get update -qq && apt-get download flightgear-data-ai flightgear-data-models; }; }
	@cd data/download-fg && for package in flightgear-data-*.deb; do dpkg-deb -x $$package . || exit 1; done && \
	    mv usr/share/games/flightgear/AI/Aircraft usr/share/games/flightgear/Models flightgear/ && \
	    cp usr/share/doc/flightgear-data-ai/copyright flightgear/ && rm -rf flightgear/Models/Weather
	@find data/download-fg/flightgear -iname '*.rgb' -print0 | xargs -0 -P $$(nproc) -I@ \
	    sh -c 'ffmpeg -v quiet -nostdin -y -i "@" -c:v png "@.png" || true'
	@find data/download-fg/flightgear -name '*.ac' -exec sed -i 's/^\(texture "[^"]*\.rgb\)"/\1.png"/I' {} +
	@mv data/download-fg/flightgear $@ && rm -rf data/download-fg
	@echo "unpacked: $@"

# ---- electronic components: data/kicad/FAMILY/NAME.ply, made of the package's VRML, and their catalogue.tsv -------------
.PHONY: data-kicad deps-kicad
data-kicad: data/kicad
data/kicad: | deps-kicad
	@rm -rf data/download-kicad && mkdir -p data/download-kicad
	cd data/download-kicad && { apt-get download kicad-packages3d || \
	    { apt-get update -qq && apt-get download kicad-packages3d; }; }
	dpkg-deb --fsys-tarfile data/download-kicad/kicad-packages3d_*.deb | tar -x -C data/download-kicad --wildcards '*.wrl' '*/copyright'
	/usr/bin/python3 datasets/make_kicad.py data/download-kicad data/download-kicad/kicad
	@cp data/download-kicad/usr/share/doc/kicad-packages3d/copyright data/download-kicad/kicad/
	@mv data/download-kicad/kicad $@ && rm -rf data/download-kicad
	@echo "unpacked: $@"

# ---- the README's results: build/results -------------------------------------------------------------------------------
# A file that is there is not measured again; what was stopped goes on. Fewer objects, elsewhere, for a try:
#   make results results=build/try all=2 some=2
results ?= build/results
results_data ?= data
all ?= 0# objects of the test split; 0: all
some ?= 12# evenly over them: 3D consistency of 24 views each
few ?= 8# of the validation split: the qualities of refinement, and the sweeps of its numbers
sweeps ?= gamma=0,0.25,0.5,1 steps=5,10,25,50 views=4,8,16,32 field-steps=2,4,8,16
baselines ?= build/baselines
pixel ?= $(wildcard $(baselines)/pixel.safetensors)# a pixel-aligned model to compare with: make baselines
equal ?= $(wildcard $(baselines)/equal.safetensors)# one with planes, trained as little
evaluate = $(program) eval --data $(results_data) --json $@
compared := $(foreach name,pixel equal,$(if $($(name)),--compare $(name)=$($(name))))
weights := diffusion/weights/objects-64.safetensors $(pixel) $(equal)
results: deps deps-results $(if $(filter data,$(results_data)),data)
	+@$(submake) $(program)
	@mkdir -p $(results)
	@$(MAKE) --no-print-directory -j1 $(addprefix $(results)/,main.json consistency.json quality.json sweep.json validation.json validation-auto.json \
	    validation-unknown.json cc0.json reconstruct.json reconstruct-quick.json reconstruct-fast.json reconstruct-best.json fit.json)
	python3 tools/results.py $(results) >$(results)/results.md
	@echo "$(results)/results.md; into README.md: python3 tools/results.py $(results) --fill README.md"
$(results)/main.json: $(weights)
	$(evaluate) --objects $(all) --methods copy,extruded,nearest,feedforward,views,paper,blend $(compared) \
	    --csv $(@:.json=.csv) --report $(@:.json=.html)
$(results)/consistency.json: $(weights)
	$(evaluate) --objects $(some) --methods copy,nearest,feedforward,views,paper,blend $(compared) \
	    --consistency field,tsed,reprojection,variance --csv $(@:.json=.csv) --report $(@:.json=.html)
$(results)/quality.json: $(weights)
	$(evaluate) --split validation --objects $(few) --methods feedforward,blend --quality fast,default,best --consistency field
$(results)/sweep.json: $(weights)
	$(evaluate) --split validation --objects $(few) --methods feedforward,paper,blend $(addprefix --sweep ,$(sweeps)) \
	    --plot $(@:.json=.svg) --csv $(@:.json=.csv) --report $(@:.json=.html)
$(results)/validation.json: $(weights)
	$(evaluate) --split validation --objects $(all) --methods feedforward
$(results)/validation-auto.json: $(weights)
	$(evaluate) --split validation --objects $(all) --methods feedforward --input auto
$(results)/validation-unknown.json: $(weights)
	$(evaluate) --split validation --objects $(all) --methods feedforward --elevation unknown
$(results)/cc0.json: $(weights)
	$(evaluate) --licence CC0 --objects 5 --methods feedforward,blend --sheet $(@:.json=.png)
$(results)/reconstruct.json: $(weights)
	python3 tools/results.py --time $@ $(program) reconstruct datasets/samples/stone-lantern.png -o $(@:.json=)
$(results)/reconstruct-quick.json: $(weights)
	python3 tools/results.py --time $@ $(program) reconstruct datasets/samples/stone-lantern.png -o $(@:.json=) --refine none --frames 1
$(results)/reconstruct-fast.json $(results)/reconstruct-best.json: $(results)/reconstruct-%.json: $(weights)
	python3 tools/results.py --time $@ $(program) reconstruct datasets/samples/stone-lantern.png -o $(@:.json=) --quality $* --frames 1
$(results)/fit.json:
	rm -rf $(@:.json=)-views
	$(program) dataset render --data $(results_data) --split validation --objects BlendSwap-CC-0-sofa2 --views 72 -o $(@:.json=)-views
	python3 tools/results.py --time $@ $(program) fit $(@:.json=)-views --holdout 8 -o $(@:.json=.safetensors)

# ---- baselines: build/baselines; what the README's results compare with the shipped model ---------------------------------
# The pixel-aligned field, pixelNeRF's idea, and a triplane on the same samples, both fresh.
geometry_steps ?= 2500
colour_steps ?= 600
baseline_pixel := --planes pixel
baselines: deps $(if $(filter data,$(results_data)),data)
	+@$(submake) $(program)
	@mkdir -p $(baselines)
	@$(MAKE) --no-print-directory -j1 $(baselines)/pixel.safetensors $(baselines)/equal.safetensors
$(baselines)/%-geometry.done:
	$(program) train --data $(results_data) --stage geometry --steps $(geometry_steps) $(baseline_$*) -o $(@:.done=)
	@touch $@
$(baselines)/%.safetensors: $(baselines)/%-geometry.done
	$(program) train --data $(results_data) --stage colour --steps $(colour_steps) --init $(<:.done=)/model.safetensors -o $(@:.safetensors=-colour)
	@cp $(@:.safetensors=-colour)/model.safetensors $@.new && mv $@.new $@
.PRECIOUS: $(baselines)/%-geometry.done

# ---- learning rates of the two: build/rates ----------------------------------------------------------------------------
# Geometry at 32 px on the same samples; the encoder's rate, which the decoder's follows. Fewer steps for a try:
#   make rates rates=build/try rates_steps=8 rates_validate=2
rates ?= build/rates
rates_swept ?= 1.6e-4 4e-4 1e-3
rates_steps ?= 2500# of 8 encodes
rates_validate ?= 250
rates_runs := $(foreach planes,pixel triplane,$(foreach rate,$(rates_swept),$(rates)/$(planes)_$(rate)))
rates: deps deps-results $(if $(filter data,$(results_data)),data)
	+@$(submake) $(program)
	@mkdir -p $(rates)
	@$(MAKE) --no-print-directory -j1 $(addsuffix .done,$(rates_runs))
	$(program) curves $(rates_runs) -o $(rates)/rates.svg
	python3 tools/results.py $(rates)
	@echo "into README.md: python3 tools/results.py $(rates) --fill README.md"
$(rates)/%.done:
	$(program) train --data $(results_data) --stage geometry --size 32 --steps $(rates_steps) --validate $(rates_validate) \
	    --planes $(word 1,$(subst _, ,$*)) --rate $(word 2,$(subst _, ,$*)) -o $(@:.done=)
	@touch $@

# ---- the README's gallery: build/gallery ------------------------------------------------------------------------------
gallery ?= build/gallery
gallery: deps deps-gallery $(if $(filter data,$(results_data)),data)
	+@$(submake) $(program)
	/usr/bin/python3 tools/gallery.py $(program) $(results_data) $(gallery)

# ---- ablations: build/ablations ------------------------------------------------------------------------------------------
# A fresh model each, 20,000 encodes at 32 px; the seed and so the samples are the same. Pairs end early in the list.
ablations ?= build/ablations
ablation_base := --stage geometry
ablation_upright := --stage geometry --frame upright
ablation_skip := --stage geometry --heads skip
ablation_photometric := --stage colour --targets 4 --photometric
ablation_denoiser = --stage denoiser --init $(ablations)/base/model.safetensors
ablation_eps = $(ablation_denoiser) --predict eps
ablation_own = $(ablation_denoiser) --condition own
# Two fields, of one half of the objects each: every object's render is by the one that did not see it.
ablation_fold-0 := --stage geometry --fold 0
ablation_fold-1 := --stage geometry --fold 1
ablation_two-fold = $(ablation_denoiser) --condition two-fold \
    --fold-models $(ablations)/fold-0/model.safetensors,$(ablations)/fold-1/model.safetensors
ablations: deps deps-results $(if $(filter data,$(results_data)),data)
	+@$(submake) $(program)
	@mkdir -p $(ablations)
	@$(MAKE) --no-print-directory -j1 $(patsubst %,$(ablations)/%.done,base upright skip photometric denoiser eps own fold-0 fold-1 two-fold)
	python3 tools/results.py $(ablations)
	@echo "into README.md: python3 tools/results.py $(ablations) --fill README.md"
$(ablations)/%.done:
	$(program) train --data $(results_data) --size 32 --steps 2500 --validate 500 -o $(@:.done=) $(ablation_$*)
	@touch $@

# ---- the same stages in PyTorch, side by side: build/peers.json -------------------------------------------------------
peers_python := /usr/bin/python3
peers_torch := $(wildcard /usr/lib/python3/dist-packages/torch/__init__.py)
ifeq ($(peers_torch),)
bench-peers:
	@echo "bench-peers: skipped: Debian's python3-torch is not installed (make deps-peers)"
else
bench-peers: deps-peers
	+@$(submake) $(build)/libstages.so
	@$(peers_python) tests/peers/peers.py --library $(build)/libstages.so
endif

# ---- install: PREFIX, DESTDIR ---------------------------------------------------------------------------------------
PREFIX ?= /usr/local
bindir ?= $(PREFIX)/bin
libdir ?= $(PREFIX)/lib
includedir ?= $(PREFIX)/include
modeldir := $(PREFIX)/share/parallax
define pc
prefix=$(PREFIX)
libdir=$(libdir)
includedir=$(includedir)
modeldir=$(modeldir)

Name: Parallax
Description: one image of an object -> a radiance field, novel views
Version: $(version)
Cflags: -I$${includedir}/parallax
Libs: -L$${libdir} -lparallax
Libs.private: $(LDLIBS) -fopenmp
endef

install: $(program) $(build)/libparallax.a $(build)/libparallax.so
	$(quiet)install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(modeldir)
	$(quiet)install -m755 $(program) $(DESTDIR)$(bindir)/
	$(quiet)install -m644 $(build)/libparallax.a $(DESTDIR)$(libdir)/
	$(quiet)install -m755 $(build)/libparallax.so $(DESTDIR)$(libdir)/libparallax.so.$(version)
	$(quiet)ln -sf libparallax.so.$(version) $(DESTDIR)$(libdir)/$(soname)
	$(quiet)ln -sf $(soname) $(DESTDIR)$(libdir)/libparallax.so
	$(quiet)install -m644 diffusion/weights/*.safetensors $(DESTDIR)$(modeldir)/
	$(quiet)for header in $$($(CC) -I. -MM $(public_headers) | tr -s ' \\\n' '\n' | grep '\.h$$' | sort -u); do \
	    install -D -m644 $$header $(DESTDIR)$(includedir)/parallax/$$header || exit 1; done
	$(quiet)printf '%s\n' "$$pc" >$(DESTDIR)$(libdir)/pkgconfig/parallax.pc
export pc

clean:
	rm -rf build

-include $(patsubst %.o,%.d,$(call objects,$(sources) $(cuda_standins) $(cuda_sources)) $(patsubst %,$(build)/%.o,$(cuda_kernel_sources)) \
    $(patsubst %.cpp,$(build)/%.o,$(wildcard tests/cuda/*.cpp)) $(build)/tests/cuda/device.o)
