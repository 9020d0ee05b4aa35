# The lab with everything that one machine can use. make image
# docker run --rm --init -v "$PWD/outputs:/lab/outputs" rl-lab train env=CartPole-v1 agent=ppo
FROM python:3.12-slim

# git notes a run's commit, libEGL draws MuJoCo's environments.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libegl1 libgl1 \
    && rm -rf /var/lib/apt/lists/*

# torch alone first: it is most of the image and changes least.
# For GPUs: --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "torch==2.13.0"

WORKDIR /lab/source
COPY . .
RUN pip install --no-cache-dir -c constraints.txt \
    ".[box2d,mujoco,atari,video,figures,fast,envpool,tune]"

WORKDIR /lab
ENTRYPOINT ["rl-lab"]
CMD ["--help"]
