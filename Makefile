# Parallax: make [demo|test|data|lint] [config=release|debug|sanitize] [werror=1]
config ?= release
build := build/$(config)

ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS_release := -O3 -march=native -fno-math-errno -g
CFLAGS_debug := -O0 -march=native -g
CFLAGS_sanitize := -O1 -march=native -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
    $(if $(werror),-Werror) $(CFLAGS_$(config)) -fopenmp -fPIC -MMD -MP -I. -DCGLM_ALL_UNALIGNED
LDLIBS := -lassimp -lembree3 -lOpenEXRCore-3_1 -lzip -ldnnl -ljansson -lpopt -lm

library_sources := $(wildcard nerf/core/*.c nerf/tensor/*.c nerf/*.c diffusion/*.c render/*.c datasets/*.c)
tool_sources := $(wildcard tools/*.c)
test_sources := $(wildcard tests/test_*.c)
objects = $(patsubst %.c,$(build)/%.o,$(1))

.PHONY: all test clean
all: $(build)/parallax

$(build)/libparallax.a: $(call objects,$(library_sources))
	rm -f $@ && ar rcs $@ $^
$(build)/parallax: $(call objects,$(tool_sources)) $(build)/libparallax.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
$(build)/run_tests: $(call objects,$(test_sources)) $(build)/libparallax.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
$(build)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

test: $(build)/run_tests $(build)/parallax
	$(build)/run_tests

clean:
	rm -rf build

-include $(patsubst %.o,%.d,$(call objects,$(library_sources) $(tool_sources) $(test_sources)))
