# The lab with everything that one machine can use. make image
# mkdir -p outputs
# docker run --rm --init --user "$(id -u):$(id -g)" -v "$PWD/outputs:/lab/outputs" rl-lab train env=CartPole-v1 agent=ppo
FROM python:3.12-slim

# libEGL draws MuJoCo's environments.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libegl1 libgl1 \
    && rm -rf /var/lib/apt/lists/*

# torch alone first: it is most of the image and changes least.
# For GPUs: --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "torch==2.13.0"

WORKDIR /lab/source
COPY . .
RUN pip install --no-cache-dir -c constraints.txt \
    ".[box2d,mujoco,atari,video,figures,fast,envpool,tune]"

# Not root, or outputs would belong to root. Whom --user names has no home here: what libraries keep
# for themselves goes to /tmp.
RUN useradd --no-create-home lab && install --directory --mode 1777 /lab/outputs \
    && chmod 1777 /lab
ENV HOME=/tmp USER=lab
USER lab

WORKDIR /lab
ENTRYPOINT ["rl-lab"]
CMD ["--help"]
